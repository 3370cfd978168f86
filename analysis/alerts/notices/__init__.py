"""How an incident is told: the alert.v1 document, its texts, and the channels."""
