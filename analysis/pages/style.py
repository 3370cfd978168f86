"""The pages' style sheet: one calm look, contrast of text at least 4.5:1, readable from 360 pixels up."""

CSS = """
.stMainBlockContainer { max-width: 1240px; padding: 3.25rem 3rem 4rem; }
.stMainBlockContainer h1 { font-size: 1.9rem; padding: 0.25rem 0 0.5rem; }
.stMainBlockContainer h2 { font-size: 1.3rem; }
.stMainBlockContainer h3 { font-size: 1.1rem; padding: 0.75rem 0 0.25rem; }
.st-key-filters { align-items: flex-end; }

dl.facts { display: flex; flex-wrap: wrap; gap: 0.15rem 1.4rem; margin: 0; padding: 0; color: #595959;
  font-size: 0.875rem; }
dl.facts div { display: flex; gap: 0.35rem; }
dl.facts dt { font-weight: 400; }
dl.facts dt::after { content: ":"; }
dl.facts dt, dl.facts dd { margin: 0; padding: 0; }
dl.facts dd { color: #262730; overflow-wrap: anywhere; }

.banner { border-left: 6px solid #767676; border-radius: 6px; background: #F3F4F6; color: #262730;
  padding: 0.9rem 1.2rem 1rem; }
.banner h2 { margin: 0; padding: 0; font-size: 1.05rem; font-weight: 600; letter-spacing: 0.01em; }
.banner p { margin: 0.25rem 0 0; font-size: 1.2rem; line-height: 1.5; max-width: 60rem; }
.banner.ship { border-color: #2E7D32; background: #E8F3E9; color: #1B4A1F; }
.banner.stop { border-color: #D55E00; background: #FBEDE2; color: #6E3000; }
.banner.hold { border-color: #B8860B; background: #FDF6DF; color: #5A4300; }
.banner.no_material_effect { border-color: #56B4E9; background: #EAF4FB; color: #103D57; }
.banner.withheld { border-color: #262730; background: #ECECEE; }

[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { color: #595959; opacity: 1; }
[data-testid="stWidgetLabelRequired"] { display: none; }

.stale { border: 1px dashed #767676; border-radius: 6px; padding: 0.5rem 0.9rem; margin: 0; color: #4A4A4A; }

.stMainBlockContainer [data-testid="stMetric"] { padding: 0; }
.stMainBlockContainer [data-testid="stMetricValue"] { font-size: 1.4rem; line-height: 1.3; }
.stMainBlockContainer [data-testid="stMetric"] p { white-space: normal; overflow: visible; }
.stMainBlockContainer [data-testid="stMetricLabel"] p { line-height: 1.35; }

.check { display: flex; gap: 0.9rem; padding: 0.5rem 0; border-top: 1px solid #ECECEC; font-size: 0.95rem; }
.check .state { flex: 0 0 8.2rem; color: #4A4A4A; }
.check table.plain { width: auto; margin: 0.4rem 0 0.2rem; }
.check .owner { color: #595959; font-size: 0.85rem; margin-left: 0.5rem; white-space: nowrap; }
.check.fail .state, .check.warn .state { color: #8A3D00; font-weight: 600; }

.wide { overflow-x: auto; }
table.plain { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
table.plain caption { text-align: left; color: #595959; padding-bottom: 0.4rem; }
table.plain th { text-align: left; font-weight: 600; white-space: nowrap; }
table.plain th, table.plain td { padding: 0.45rem 0.9rem 0.45rem 0; border-bottom: 1px solid #ECECEC;
  vertical-align: top; }
table.plain td:nth-child(n+3):nth-child(-n+6) { white-space: nowrap; font-variant-numeric: tabular-nums; }

table.named { table-layout: fixed; }
table.named th:first-child { width: min(16rem, 45%); }

table.plain.told td:nth-child(n):nth-child(n) { white-space: normal; overflow-wrap: anywhere; min-width: 5rem; }
table.plain.told code { font-size: 0.85rem; white-space: normal; }
table.plain small { display: block; color: #595959; font-size: 0.82rem; }
table.plain a, p.summary a { color: #0B5C8E; font-weight: 600; text-decoration: none; }
table.plain a:hover, table.plain a:focus, p.summary a:hover, p.summary a:focus { text-decoration: underline; }
.stMainBlockContainer p.summary { font-size: 1.05rem; line-height: 1.6; max-width: 60rem; margin: 0.3rem 0 0;
  overflow-wrap: anywhere; }
.banner ul { margin: 0.4rem 0 0; }

ol.changes { list-style: none; margin: 0; padding: 0; font-size: 0.95rem; }
ol.changes > li { display: flex; gap: 1.2rem; margin: 0; padding: 0.6rem 0; border-top: 1px solid #ECECEC; }
ol.changes > li > div:first-child { flex: 0 0 15rem; }
ol.changes > li > div:last-child { flex: 1 1 auto; min-width: 0; overflow-wrap: anywhere; }
ol.changes small { display: block; color: #595959; font-size: 0.82rem; }
ol.changes p { margin: 0 0 0.2rem; }
ol.changes i { color: #595959; font-size: 0.82rem; }
ol.changes ul { margin: 0.2rem 0 0; padding-left: 1.1rem; }
ol.changes span.was { margin-right: 0.7rem; }
ol.changes span.now { font-weight: 600; }
ol.changes .broken { color: #6E3000; font-weight: 600; }

table.overview { margin-top: 0.75rem; border-collapse: collapse; width: 100%; }
table.overview th { text-align: left; font-size: 0.8rem; font-weight: 600; color: #595959; padding: 0 1rem 0.4rem 0;
  border-bottom: 1px solid #D5D6DB; white-space: nowrap; }
table.overview td { padding: 0.8rem 1rem 0.8rem 0; border-bottom: 1px solid #ECECEC; vertical-align: top;
  font-variant-numeric: tabular-nums; }
table.overview td b { font-weight: 400; white-space: nowrap; }
table.overview td:last-child, table.overview th:last-child { padding-right: 0; }
table.overview a { color: #0B5C8E; font-weight: 600; text-decoration: none; }
table.overview a:hover, table.overview a:focus { text-decoration: underline; }
table.overview small { display: block; color: #595959; font-size: 0.82rem; line-height: 1.4; }
table.overview tr.old td, table.overview tr.old small { color: #6B6B6B; }
table.overview tr.old .chip { filter: grayscale(1); }
.chip { display: inline-block; border-radius: 999px; padding: 0.12rem 0.7rem; font-size: 0.85rem; font-weight: 600;
  white-space: nowrap; background: #ECEDF0; color: #262730; }
.chip.ship { background: #DCEEDE; color: #1B4A1F; }
.chip.stop { background: #FADFCB; color: #6E3000; }
.chip.hold { background: #FBEDBF; color: #5A4300; }
.chip.no_material_effect { background: #D9ECF8; color: #103D57; }
.chip.withheld { background: #3A3B42; color: #FFFFFF; }
.track { display: block; width: 100%; min-width: 5rem; height: 5px; border-radius: 3px; background: #E3E4E8;
  margin-top: 0.35rem; }
.track span { display: block; height: 5px; border-radius: 3px; background: #767676; }

table.overview a.quiet { color: #262730; font-weight: 400; text-decoration: underline; text-decoration-color: #B9BCC4;
  text-underline-offset: 3px; }

.signal { display: flex; gap: 0.9rem; padding: 0.6rem 0 0; border-top: 1px solid #ECECEC; font-size: 0.95rem; }
.stMainBlockContainer .signal p { font-size: 0.95rem; }
.signal > .state { flex: 0 0 8.2rem; color: #4A4A4A; }
.signal.fail > .state, .signal.warn > .state { color: #8A3D00; font-weight: 600; }
.signal > div { flex: 1 1 auto; min-width: 0; overflow-wrap: anywhere; }
.signal p { margin: 0 0 0.25rem; }
.signal .owner { color: #595959; font-size: 0.85rem; margin-left: 0.5rem; font-weight: 400; }
.signal .figures { display: flex; gap: 0.5rem 2rem; align-items: flex-start; justify-content: space-between; }
.signal .figures ul { flex: 1 1 auto; }
.signal ul { list-style: none; margin: 0 0 0.3rem; padding: 0; font-size: 0.9rem; }
.signal li { margin: 0 0 0.15rem; padding: 0; }
.signal li b { white-space: nowrap; }
.signal li.beyond b { color: #8A3D00; }
.signal small { color: #595959; font-size: 0.82rem; }
.signal img.spark { flex: 0 0 auto; max-width: 100%; }
.signal table.plain { width: auto; margin: 0.2rem 0 0.4rem; overflow-wrap: normal; }
.signal table.plain td { white-space: nowrap; }
.signal a { color: #0B5C8E; font-weight: 600; text-decoration: none; }
[class*="st-key-sql"] { padding-left: 9.1rem; margin-top: -0.3rem; }
[class*="st-key-sql"] details { border: 0; }
[class*="st-key-sql"] summary { padding: 0.1rem 0; font-size: 0.85rem; color: #595959; }

[class*="st-key-incident-"] { padding: 0.9rem 1.2rem 1rem; }
.incident h3 { margin: 0.35rem 0 0; padding: 0; font-size: 1.2rem; line-height: 1.45; }
.stMainBlockContainer .incident p { margin: 0.2rem 0 0; font-size: 0.95rem; overflow-wrap: anywhere; }
.incident p.kind { color: #4A4A4A; }
.incident .chip { margin-right: 0.4rem; }
.incident ul { margin: 0.3rem 0 0; font-size: 0.95rem; }
.incident a { color: #0B5C8E; font-weight: 600; text-decoration: none; }
.incident a:hover, .incident a:focus { text-decoration: underline; }
dl.money { display: flex; flex-wrap: wrap; gap: 0.4rem 2.2rem; margin: 0.5rem 0 0; padding: 0; }
dl.money dt { margin: 0; font-size: 0.82rem; font-weight: 400; color: #595959; }
dl.money dd { margin: 0; padding: 0; font-size: 1.1rem; color: #262730; }

@media (max-width: 1100px) {
  .st-key-cards [data-testid="stHorizontalBlock"], .st-key-charts [data-testid="stHorizontalBlock"] {
    flex-wrap: wrap; }
  .st-key-cards [data-testid="stColumn"] { flex: 1 1 calc(50% - 1rem); min-width: calc(50% - 1rem); }
  .st-key-charts [data-testid="stColumn"] { flex: 1 1 100%; min-width: 100%; }
  table.overview thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table.overview tr { display: grid; grid-template-columns: 1fr 1fr; gap: 0.5rem 1rem; padding: 1rem 0;
    border-bottom: 1px solid #D5D6DB; }
  table.overview td { border: 0; padding: 0; }
  table.overview td:first-child { grid-column: 1 / -1; }
  table.overview td[data-label]::before { content: attr(data-label); display: block; font-size: 0.75rem;
    color: #595959; }
}

@media (max-width: 760px) {
  .stMainBlockContainer { padding: 4.25rem 1rem 4rem; }
  .stMainBlockContainer [data-testid="stMetricValue"] { font-size: 1.2rem; }
  .stMainBlockContainer h1 { font-size: 1.55rem; }
  .banner p { font-size: 1.08rem; }
  table.plain.told thead { display: none; }
  table.plain.told tr { display: block; padding: 0.5rem 0; border-bottom: 1px solid #D5D6DB; }
  table.plain.told td.none { display: none; }
  table.plain.told td:not(.none) { display: flex; gap: 0.6rem; border: 0; padding: 0.1rem 0; }
  table.plain.told td::before { content: attr(data-label); flex: 0 0 7.5rem; font-size: 0.82rem; color: #595959; }
  .check, ol.changes > li { flex-direction: column; gap: 0.1rem; }
  ol.changes > li > div:first-child { flex-basis: auto; }
  .check .owner { display: block; margin-left: 0; }
  .check .state { flex-basis: auto; }
  dl.money { display: grid; grid-template-columns: 1fr 1fr; gap: 0.4rem 1rem; }
  .signal, .signal .figures { flex-direction: column; gap: 0.2rem; }
  .signal > .state { flex-basis: auto; }
  .signal .owner { display: block; margin-left: 0; }
  [class*="st-key-sql"] { padding-left: 0; }
}
"""
