"""What the registry page shows, as values: courses, buckets, terms, overlaps, changes. Pure; charts of them, too."""
