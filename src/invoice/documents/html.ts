import type { CreditNote, Invoice } from '../invoice.ts'
import { type InvoiceView, invoiceView, type LineView } from './view.ts'

/** The invoice as one HTML page without scripts or outside resources; prints on A4. */
export function invoiceHtml(invoice: Invoice | CreditNote): string {
  const view = invoiceView(invoice)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(`${view.title} ${view.number}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<div>
<h1>${escapeHtml(view.title)}</h1>
${view.stamp === null ? '' : `<p class="stamp">${escapeHtml(view.stamp)}</p>`}
</div>
<address>${lines(view.seller)}</address>
</header>
<section class="parties">
<div>
<h2>Bill to</h2>
<address>${lines(view.billTo)}</address>
</div>
<dl>${view.facts.map(([label, value]) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`).join('')}</dl>
</section>
<table>
<thead><tr><th scope="col">Item</th><th scope="col">Period</th><th scope="col" class="n">Quantity</th><th scope="col" class="n">Amount</th></tr></thead>
${view.lines.map(lineRows).join('\n')}
<tfoot>
${view.totals.map(([label, amount]) => `<tr><th scope="row" colspan="3">${escapeHtml(label)}</th><td class="n">${escapeHtml(amount)}</td></tr>`).join('\n')}
<tr class="total"><th scope="row" colspan="3">${escapeHtml(view.total[0])}</th><td class="n">${escapeHtml(view.total[1])}</td></tr>
${view.settled.map(([label, amount]) => `<tr><th scope="row" colspan="3">${escapeHtml(label)}</th><td class="n">${escapeHtml(amount)}</td></tr>`).join('\n')}
</tfoot>
</table>
${view.notes.length === 0 ? '' : `<p class="notes">${lines(view.notes)}</p>`}
${payment(view)}
<footer>${view.proof.map((line) => `<p>${escapeHtml(line)}</p>`).join('')}</footer>
</main>
</body>
</html>
`
}

/** Safe in text and in quoted attributes. */
function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

function lineRows(line: LineView): string {
  const note = line.note === null ? '' : `<small>${escapeHtml(line.note)}</small>`
  const steps = line.steps.map((step) => `<tr class="step"><td colspan="4">${escapeHtml(step)}</td></tr>`)
  return `<tbody>
<tr><td>${escapeHtml(line.name)}${note}</td><td>${escapeHtml(line.period)}</td><td class="n">${escapeHtml(line.quantity)}</td><td class="n">${escapeHtml(line.amount)}</td></tr>
${steps.join('\n')}
</tbody>`
}

function payment(view: InvoiceView): string {
  if (view.payment.length === 0) return ''
  return `<section class="payment"><h2>Payment</h2><p>${lines(view.payment)}</p></section>`
}

function lines(texts: readonly string[]): string {
  return texts.map(escapeHtml).join('<br>')
}

const STYLE = `
:root{color-scheme:light;--ink:#1a2233;--soft:#5b6577;--rule:#d9dee7}
*{box-sizing:border-box}
body{margin:0;background:#f4f6f9;color:var(--ink);font:14px/1.5 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
main{max-width:50rem;margin:2rem auto;padding:3rem;background:#fff;border:1px solid var(--rule)}
header,.parties{display:flex;justify-content:space-between;gap:2rem;margin-bottom:2.5rem;flex-wrap:wrap}
h1{margin:0;font-size:2rem;font-weight:600;letter-spacing:-.01em}
h2{margin:0 0 .35rem;font-size:.8rem;font-weight:600;color:var(--soft)}
address{font-style:normal}
header address{text-align:right;color:var(--soft)}
.stamp{display:inline-block;margin:.5rem 0 0;padding:.1rem .6rem;border:1px solid currentColor;border-radius:1rem;color:var(--soft);font-size:.85rem}
dl{display:grid;grid-template-columns:auto auto;gap:.15rem 1.5rem;margin:0;align-content:start}
dt{color:var(--soft)}
dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}
table{width:100%;border-collapse:collapse}
th,td{padding:.5rem 0 .5rem 1rem;text-align:left;vertical-align:top;font-weight:400}
th:first-child,td:first-child{padding-left:0}
thead th{border-bottom:2px solid var(--ink);color:var(--soft);font-size:.85rem}
tbody{border-bottom:1px solid var(--rule)}
tbody tr:first-child td:first-child{font-weight:600}
td small{display:block;font-weight:400;color:var(--soft)}
.step td{padding-top:0;padding-bottom:.3rem;color:var(--soft);font-size:.85rem}
.step td:first-child{padding-left:1rem}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tfoot th{text-align:right;color:var(--soft)}
tfoot .total>*{border-top:2px solid var(--ink);font-size:1.2rem;font-weight:600;color:var(--ink)}
.payment{margin-top:2.5rem}
.payment p{margin:0}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--rule);color:var(--soft);font-size:.72rem;overflow-wrap:anywhere}
footer p{margin:0}
@media print{body{background:#fff}main{margin:0;padding:0;border:0;max-width:none}@page{size:A4;margin:20mm}tbody{break-inside:avoid}}
`
