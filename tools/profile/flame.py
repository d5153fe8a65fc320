# SPDX-License-Identifier: MIT
"""A flame graph as one SVG file: boxes for call paths, as wide as their counts. Used by profile.py.

draw(paths, title, unit) takes {("a", "b", "c"): count} and returns the file's text. A box has its name, count and
share as a tooltip; a click makes it as wide as the picture and hides what is not above or below it, a click on
the bottom box goes back; a search word (the field at the top right, in a browser) colours what contains it.
Colours say where a box comes from and are the same in every picture: a hash of the name picks the shade.
"""
import html
import zlib

WIDTH, ROW, MARGIN, HEAD = 1400, 17, 10, 44
CHARACTER = 6.6     # width of a letter at the font size below
HUES = {"[user]": (205, 40), "[interrupt]": (275, 40)}

SCRIPT = """
var W=%(width)d-2*%(margin)d, M=%(margin)d, boxes=[].slice.call(document.querySelectorAll('g.b'));
function num(g,k){return parseFloat(g.getAttribute('data-'+k));}
function show(g,x,w){
 var r=g.querySelector('rect'), t=g.querySelector('text'), n=g.getAttribute('data-n'), fit=Math.floor((w-4)/%(character)f);
 r.setAttribute('x',x); r.setAttribute('width',Math.max(w-0.4,0.1)); t.setAttribute('x',x+3);
 t.textContent=fit<3?'':n.length<=fit?n:n.slice(0,fit-2)+'..'; g.style.display='';
}
function zoom(z){
 var a=num(z,'x'), w=num(z,'w'), d=num(z,'d');
 boxes.forEach(function(g){
  var x=num(g,'x'), v=num(g,'w'), e=num(g,'d');
  if(e<d&&x<=a+1e-9&&x+v>=a+w-1e-9) show(g,M,W);
  else if(e>=d&&x>=a-1e-9&&x+v<=a+w+1e-9) show(g,M+(x-a)/w*W,v/w*W);
  else g.style.display='none';
 });
}
function find(word){boxes.forEach(function(g){
 g.querySelector('rect').style.fill=word&&g.getAttribute('data-n').indexOf(word)>=0?'#d040d0':'';});}
boxes.forEach(function(g){g.addEventListener('click',function(){zoom(g);});});
document.getElementById('find').addEventListener('click',function(){find(prompt('Part of a name:')||'');});
"""


class Box:
    def __init__(self, name):
        self.name, self.own, self.total, self.children = name, 0, 0, {}

    def add(self, path, count):
        self.total += count
        if not path:
            self.own += count
            return
        child = self.children.get(path[0])
        if child is None:
            child = self.children[path[0]] = Box(path[0])
        child.add(path[1:], count)

    def depth(self):
        return 1 + max((c.depth() for c in self.children.values()), default=0)


def colour(name):
    shade = zlib.crc32(name.encode()) % 1000 / 1000
    if name in HUES:
        hue, spread = HUES[name]
        return f"hsl({hue},{spread + 20}%,72%)"
    return f"hsl({8 + shade * 44:.0f},{75 + shade * 15:.0f}%,{62 + shade * 10:.0f}%)"


def draw_box(out, box, start, depth, scale, height, whole, unit):
    width = box.total * scale
    if width < 0.15:
        return
    x, y = MARGIN + start * scale, height - MARGIN - (depth + 1) * ROW
    fit = int((width - 4) / CHARACTER)
    label = "" if fit < 3 else box.name if len(box.name) <= fit else box.name[:fit - 2] + ".."
    own = f", {box.own:,} its own" if box.children and box.own else ""
    name = html.escape(box.name)
    out.append(
        f'<g class="b" data-n="{name}" data-x="{start * scale:.4f}" data-w="{width:.4f}" data-d="{depth}">'
        f'<title>{name}: {box.total:,} {unit}, {100 * box.total / whole:.2f} %{own}</title>'
        f'<rect x="{x:.2f}" y="{y}" width="{max(width - 0.4, 0.1):.2f}" height="{ROW - 1}" fill="{colour(box.name)}"/>'
        f'<text x="{x + 3:.2f}" y="{y + 12}">{html.escape(label)}</text></g>')
    for child in sorted(box.children.values(), key=lambda c: c.name):
        draw_box(out, child, start, depth + 1, scale, height, whole, unit)
        start += child.total


def draw(paths, title, unit):
    tree = Box("all")
    for path, count in paths.items():
        tree.add(path, count)
    whole = max(tree.total, 1)
    height = HEAD + tree.depth() * ROW + MARGIN
    out = [f'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
           f'height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
           '<style>g.b{cursor:pointer} g.b:hover rect{stroke:#000;stroke-width:0.7} text{pointer-events:none}'
           ' #find{pointer-events:all;cursor:pointer}</style>',
           f'<rect width="{WIDTH}" height="{height}" fill="#fcfcf8"/>',
           f'<text x="{MARGIN}" y="18" font-size="14">{html.escape(title)}</text>',
           f'<text x="{MARGIN}" y="34">{tree.total:,} {unit}</text>',
           f'<text id="find" x="{WIDTH - 70}" y="18">search</text>']
    draw_box(out, tree, 0, 0, (WIDTH - 2 * MARGIN) / whole, height, whole, unit)
    script = SCRIPT % {"width": WIDTH, "margin": MARGIN, "character": CHARACTER}
    out.append(f"<script><![CDATA[{script}]]></script></svg>\n")
    return "\n".join(out)
