"""What the signal health page shows, as values: its pictures, trends over readings, SQL to run again. Pure."""
