"""What the alerts read: counted by the warehouse, published to the store, read back as values."""
