"""The demo: a simulated shop whose experiments truelift assigns, logs, loads and reads, beside what is true of them.

shop ─▶ simulate (arms from the bundle) ─▶ serving ─▶ spool ─┐
                 └─ outcomes, catalogue, older slots ────────┴▶ load ─▶ refresh ─▶ report (truth beside estimates)
"""
