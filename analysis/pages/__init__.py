"""Streamlit pages, one file each: they fetch a published readout and draw it. No arithmetic, no SQL."""
