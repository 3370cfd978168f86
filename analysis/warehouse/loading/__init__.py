"""From a shop's own files and the exposure log to contract rows: mapped, judged, counted, enriched."""
