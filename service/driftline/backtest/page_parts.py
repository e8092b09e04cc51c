"""Style and script of the plotted page."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--bg:#fbfaf7;--fg:#1f2a33;--dim:#6a7680;--card:#fff;--edge:#e3e0d8;--line:#1d6fa5;--band:#7d9db3;
--alarm:#d1495b;--truth:#7a4fb5;--grid:#eceae4}
@media(prefers-color-scheme:dark){:root{--bg:#12171c;--fg:#dfe6ec;--dim:#8d9aa6;--card:#1a2128;--edge:#2b343d;
--line:#63b3e4;--band:#6f8ea3;--alarm:#f0707f;--truth:#b792ee;--grid:#252e36}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);
font:15px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
main{max-width:1020px;margin:0 auto;padding:24px 18px 60px}h1{font-size:22px;margin:0 0 6px}p{margin:0 0 12px}
section{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:12px 14px;margin:14px 0}
h2{font-size:15px;margin:0 0 6px;font-weight:600}h2 small{font-weight:400;color:var(--dim)}
svg{display:block;width:100%;height:auto;overflow:visible}
.line{fill:none;stroke:var(--line);stroke-width:1.4;stroke-linejoin:round}.band{fill:var(--band);opacity:.2}
.mid{stroke:var(--band);stroke-width:1}.ref{fill:var(--dim);opacity:.12}.alarm{fill:var(--alarm);opacity:.14}
.fired{stroke:var(--alarm);stroke-width:1.6}.onset{stroke:var(--alarm);stroke-width:1.3;stroke-dasharray:2 3}
.truth{stroke:var(--truth);stroke-width:1.5;stroke-dasharray:6 4}.grid{stroke:var(--grid);stroke-width:1}
text{font-size:11px;fill:var(--dim)}.ylab{text-anchor:end}.xlab{text-anchor:middle}
.read{fill:var(--fg);font-weight:600}.cross{stroke:var(--dim);stroke-width:1;visibility:hidden}
.said{margin:8px 0 0;padding:0;list-style:none;font-size:13.5px}.said time{color:var(--alarm);
font-variant-numeric:tabular-nums;margin-right:6px}.back,.why{color:var(--dim);font-size:13px}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:0 0 4px;list-style:none;font-size:13px;
color:var(--dim)}.legend i{display:inline-block;width:18px;height:10px;margin-right:6px;vertical-align:-1px}
.k-line{border-top:2px solid var(--line);height:0!important;vertical-align:3px!important}
.k-band{background:var(--band);opacity:.35}.k-ref{background:var(--dim);opacity:.2}
.k-alarm{background:var(--alarm);opacity:.3;border-left:2px solid var(--alarm)}
.k-onset{width:0!important;height:12px!important;border-left:2px dotted var(--alarm)}
.k-truth{width:0!important;height:12px!important;border-left:2px dashed var(--truth)}
.dot{fill:var(--fg);opacity:.85}.parted{fill:var(--alarm)}
.k-dot,.k-parted{width:8px!important;height:8px!important;border-radius:4px;background:var(--fg);
margin:0 11px 0 0!important}
.k-parted{background:var(--alarm)}main>h1+ul{margin-top:6px}section+h1{margin-top:30px}
details>summary{cursor:pointer;color:var(--dim);margin-top:18px}
"""

SCRIPT: Final = """
for(const s of document.querySelectorAll('svg[data-points]')){const p=JSON.parse(s.dataset.points),
c=s.querySelector('.cross'),t=s.querySelector('.read');if(!p.length)continue;
s.addEventListener('mousemove',e=>{const r=s.getBoundingClientRect(),x=(e.clientX-r.left)*960/r.width;
let b=p[0];for(const q of p)if(Math.abs(q[0]-x)<Math.abs(b[0]-x))b=q;
c.setAttribute('x1',b[0]);c.setAttribute('x2',b[0]);c.style.visibility='visible';
t.textContent=b[1]+'   '+b[2];const right=b[0]>700;t.setAttribute('x',b[0]+(right?-6:6));
t.style.textAnchor=right?'end':'start'});
s.addEventListener('mouseleave',()=>{c.style.visibility='hidden';t.textContent=''})}
"""
