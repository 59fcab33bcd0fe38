"""How a report looks: in daylight and at night, on a phone and on a screen."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2127; --soft: #5b6470; --line: #d9dee4; --back: #ffffff;
  --mark: #0072b2; --bad: #b3400f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e7eb; --soft: #a3acb8; --line: #3a424d; --back: #15181c;
    --mark: #56b4e9; --bad: #f2935c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; color: var(--ink); background: var(--back);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.7em; line-height: 1.2; margin: 0 0 4px; }
h1, h2, h3, td, dd, p { overflow-wrap: break-word; }
h2 {
  font-size: 1.2em; margin: 40px 0 10px; padding-bottom: 4px;
  border-bottom: 1px solid var(--line);
}
h3 { font-size: 1em; margin: 20px 0 6px; }
.state { color: var(--mark); font-weight: 600; margin: 0 0 4px; }
.bad { color: var(--bad); }
.note, figcaption, dt { color: var(--soft); }
.note { font-size: .92em; margin: 6px 0 12px; max-width: 46em; }
.said { margin: 6px 0 12px; white-space: pre-wrap; overflow-x: auto; }
/* Where there is more to the side, the edge is darker. */
.scroll {
  overflow-x: auto;
  background:
    linear-gradient(to right, var(--back) 30%, transparent)
      0 0 / 40px 100% no-repeat local,
    linear-gradient(to left, var(--back) 30%, transparent)
      100% 0 / 40px 100% no-repeat local,
    linear-gradient(to right, var(--soft), transparent)
      0 0 / 6px 100% no-repeat scroll,
    linear-gradient(to left, var(--soft), transparent)
      100% 0 / 6px 100% no-repeat scroll;
}
table {
  border-collapse: collapse; margin: 6px 0 10px;
  font-variant-numeric: tabular-nums;
}
th, td {
  text-align: left; vertical-align: top; padding: 5px 14px 5px 8px;
  border-bottom: 1px solid var(--line);
}
th {
  border-bottom: 2px solid var(--line); font-weight: 600; white-space: nowrap;
}
td { max-width: 28em; }
td:first-child { white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
dl {
  display: grid; gap: 8px 24px; margin: 8px 0;
  grid-template-columns: repeat(auto-fill, minmax(150px, 1fr));
}
dl.wide { grid-template-columns: 1fr; }
dt { font-size: .86em; }
dd { margin: 0; }
.grid {
  display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr));
}
figure { margin: 12px 0; min-width: 0; }
.grid figure { margin: 0; }
figcaption { font-size: .92em; margin-bottom: 4px; }
figure img {
  display: block; height: auto; background: #ffffff; border-radius: 4px;
  max-width: max(100%, 480px);
}
.grid img { max-width: 100%; }
code {
  font: .92em/1.5 ui-monospace, Menlo, Consolas, monospace;
  overflow-wrap: anywhere;
}
@media print { body { font-size: 11px; } section { break-inside: avoid; } }
"""
