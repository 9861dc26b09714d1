/** Keeps the address bar and the page in step. */

import { decode, encode, type Address } from '../lib/address';
import { layers } from '../store/layers.svelte';
import { runs, type Mode } from '../store/runs.svelte';
import { selection } from '../store/selection.svelte';
import { time } from '../store/time.svelte';
import { view, type Panel } from '../store/view.svelte';

const PANELS = ['layers', 'scenario', 'runs', 'measures', 'alerts', 'quality', 'none'];
const MODES = ['a', 'b', 'swipe', 'difference'];

/** What the address says at the start; the map's view and panel apply at once. */
export function readAddress(): Address {
  const said = decode(location.hash);
  if (said.map) view.camera = said.map;
  if (said.panel && PANELS.includes(said.panel)) view.panel = said.panel === 'none' ? '' : (said.panel as Panel);
  for (const [name, opacity] of Object.entries(said.layers ?? {})) layers.set(name, opacity);
  return said;
}

/** Applies the rest of the address once the city is known, then writes every later change into it. */
export async function followAddress(said: Address): Promise<void> {
  await apply(said);
  $effect.root(() => {
    let timer = 0;
    $effect(() => {
      const hash = encode(current());
      clearTimeout(timer);
      timer = window.setTimeout(() => history.replaceState(null, '', `#${hash}`), 250);
    });
  });
  window.addEventListener('hashchange', () => {
    const next = decode(location.hash);
    if (next.map) view.wanted = next.map;
    if (!next.run) runs.hide();
    if (!next.selected) selection.close();
    void apply(next);
  });
}

async function apply(said: Address): Promise<void> {
  if (said.run && runs.list.some((r) => r.id === said.run)) {
    await runs.show(said.run, said.time === undefined);
    view.result = !view.narrow;
    if (said.column) await runs.setColumn(said.column);
    if (said.against) await runs.compare(said.against);
    if (said.mode && MODES.includes(said.mode)) runs.mode = said.mode as Mode;
    const [table = '', column = ''] = (said.overlay ?? '').split('.');
    if (column) await runs.setOverlay({ table, column });
  }
  if (said.time !== undefined) time.go(said.time);
  if (said.selected) await selection.choose(said.selected.table, said.selected.key, false);
}

function current(): Address {
  const out: Address = { panel: view.panel || 'none' };
  if (view.camera) out.map = view.camera;
  if (time.fixed !== null && !time.playing) out.time = time.fixed;
  if (runs.a) {
    out.run = runs.a;
    if (runs.column) out.column = runs.column;
    if (runs.b) [out.against, out.mode] = [runs.b, runs.mode];
    if (runs.overlay) out.overlay = `${runs.overlay.table}.${runs.overlay.column}`;
  }
  if (selection.chosen) out.selected = selection.chosen;
  if (Object.keys(layers.unusual).length > 0) out.layers = layers.unusual;
  return out;
}
