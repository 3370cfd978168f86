"""From contract rows to exact moments: facts, slices, daily state, and the sums that a readout is made of."""
