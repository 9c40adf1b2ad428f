"""How a report looks: on a wide screen, on a phone, in the dark, on paper."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2126;--soft:#545d68;--line:#dfe3e8;--tint:#f4f6f8;
--accent:#0a5aa8;--second:#a04c00;--bad:#ad1f17;--good:#176b33;--bad-tint:#fdeceb;--good-tint:#e8f5ec}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e4e8ec;--soft:#a3adb8;--line:#2f363d;
--tint:#1c2126;--accent:#6cb2f5;--second:#f0a35e;--bad:#ff9a91;--good:#79d297;--bad-tint:#3a1d1b;
--good-tint:#173022}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header,footer{max-width:75rem;margin:0 auto;padding:0 clamp(1rem,4vw,2.5rem)}
header{padding-top:clamp(1.5rem,5vw,3.5rem)}
.kind{margin:0;color:var(--accent);font-size:.8rem;font-weight:600;letter-spacing:.08em;
text-transform:uppercase}
h1{margin:.25rem 0 .5rem;font-size:clamp(1.6rem,4.5vw,2.4rem);line-height:1.2;font-weight:650;
letter-spacing:-.015em;overflow-wrap:anywhere}
.lead{margin:0 0 1.5rem;color:var(--soft);max-width:46rem}
section{margin-top:3rem}
h2{margin:0 0 .5rem;padding-top:1.25rem;border-top:1px solid var(--line);font-size:1.35rem;line-height:1.3;
font-weight:650;letter-spacing:-.01em;break-after:avoid}
h3{margin:2rem 0 .5rem;font-size:1rem;font-weight:650;break-after:avoid}
p{margin:.5rem 0;max-width:46rem;overflow-wrap:anywhere}
.note{color:var(--soft);font-size:.875rem}
.warn{border-left:3px solid var(--second);padding-left:.75rem}
dl.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:1rem 2rem;
margin:1.5rem 0 0}
dl.figures div{border-top:2px solid var(--ink);padding-top:.4rem}
dl.figures dt{color:var(--soft);font-size:.8rem}
dl.figures dd{margin:0;font-size:1.5rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
dl.figures small{display:block;color:var(--soft);font-size:.8rem;font-weight:400}
.side{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));gap:1.5rem 2rem;
margin:1rem 0}
figure{margin:0;min-width:0;break-inside:avoid}
figcaption{font-size:.9rem;font-weight:600;margin-bottom:.25rem}
svg{display:block;width:100%;height:auto;max-width:34rem;font:11px system-ui,-apple-system,"Segoe UI",
Roboto,Arial,sans-serif}
svg text{fill:var(--soft)}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--soft);stroke-width:1}
svg .curve{fill:none;stroke-width:2;stroke-linejoin:round}
svg .mark{stroke:var(--ink);stroke-width:1;stroke-dasharray:2 3;fill:none}
svg .dot{fill:var(--ink);stroke:var(--paper);stroke-width:1.5}
svg .label{fill:var(--ink);font-weight:600;paint-order:stroke;stroke:var(--paper);stroke-width:3px}
svg .c0{stroke:var(--accent)}svg .c1{stroke:var(--second);stroke-dasharray:5 3}
svg .bar{fill:var(--accent)}svg .bar:hover,svg .heat:hover{fill:var(--second)}svg .heat{fill:var(--accent)}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.75rem 0 0;padding:0;list-style:none;
font-size:.85rem}
.key li::before{content:"";display:inline-block;width:1.5rem;margin-right:.5rem;vertical-align:.25em;
border-top:2px solid var(--accent)}
.key li+li::before{border-top:2px dashed var(--second)}
.scroll{overflow-x:auto;margin:0 0 1rem;border:1px solid var(--line);border-radius:6px}
.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.875rem;line-height:1.4}
.caption{margin:1.75rem 0 .4rem;font-size:.9rem;font-weight:600;break-after:avoid}
th,td{padding:.45rem .6rem;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0}
thead th{background:var(--tint);color:var(--soft);font-weight:600;white-space:nowrap;vertical-align:bottom}
th.n,td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tbody th{font-weight:600;min-width:12.5rem;overflow-wrap:break-word}
td:last-child:not(.n){min-width:11rem;overflow-wrap:break-word}.soft{color:var(--soft)}
td small,th small{display:block;color:var(--soft);font-weight:400;font-size:.9em}
.tag{display:inline-block;padding:0 .45rem;border-radius:4px;font-size:.9em;font-weight:600;
white-space:nowrap}
.bad{color:var(--bad);background:var(--bad-tint)}.good{color:var(--good);background:var(--good-tint)}
pre{margin:1rem 0;padding:1rem;overflow-x:auto;background:var(--tint);border:1px solid var(--line);
border-radius:6px;
font:.8rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;tab-size:4}
footer{margin-top:3rem;padding-top:1rem;padding-bottom:2rem;color:var(--soft);font-size:.8rem}
@media (max-width:40rem){pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:.75rem}}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--tint:#fff;--accent:#0a5aa8;
--second:#a04c00;
--bad:#ad1f17;--good:#176b33;--bad-tint:#fff;--good-tint:#fff}
@page{margin:15mm}
body{font-size:10pt}main,header,footer{max-width:none;padding:0}section{margin-top:1.5rem}
.scroll{overflow:visible;border:0}table{font-size:7.5pt}th,td{padding:.25rem .35rem}
thead{display:table-header-group}
tbody th{min-width:0}thead th{white-space:normal}tr{break-inside:avoid}
.side{grid-template-columns:repeat(3,1fr);gap:.75rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:7.5pt}}
""".strip()
