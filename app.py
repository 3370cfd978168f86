"""Page router of the app: `truelift app`, or `streamlit run app.py` with TRUELIFT_HOME set."""

from pathlib import Path

import streamlit as st

PAGES = Path(__file__).parent / "analysis" / "pages"

st.set_page_config(page_title="truelift", page_icon=str(PAGES / "icon.png"), layout="wide", initial_sidebar_state=230)
st.navigation(
    {
        "Decide": [
            st.Page(PAGES / "overview.py", title="Overview", icon=":material/list:", default=True),
            st.Page(PAGES / "readout.py", title="Readout", icon=":material/science:"),
            st.Page(PAGES / "where.py", title="Where", icon=":material/grid_on:"),
            st.Page(PAGES / "alerts.py", title="Alerts inbox", icon=":material/notifications:"),
        ],
        "Trust": [st.Page(PAGES / "health.py", title="Signal health", icon=":material/monitor_heart:")],
        "Build": [st.Page(PAGES / "registry.py", title="Registry", icon=":material/view_timeline:")],
    }
).run()
