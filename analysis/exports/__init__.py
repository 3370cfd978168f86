"""What leaves a readout: CSV, one HTML file that works offline, the JSON Schema. All from the `Readout` alone."""
