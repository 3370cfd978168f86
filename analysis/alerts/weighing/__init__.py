"""What a change costs, how grave that is, and what one cell comes to at one time: pure."""
