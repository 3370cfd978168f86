"""What a page shows, worked out of readouts: pure values, no Streamlit. Pages draw them and nothing else."""
