/** Keyboard shortcuts of the whole page. A key typed into a field is left to the field. */

import { draw } from '../store/draw.svelte';
import { keyStep } from '../lib/timeline';
import { runs } from '../store/runs.svelte';
import { selection } from '../store/selection.svelte';
import { time } from '../store/time.svelte';
import { view } from '../store/view.svelte';

export const SHORTCUTS: [string[], string][] = [
  [['Space'], 'play or pause'],
  [[',', '.'], 'one step back, one step on'],
  [['←', '→'], 'the same, with the time line in focus (map: move)'],
  [['Home', 'End'], 'begin and end of the forecast'],
  [['N'], 'now: follow the live city'],
  [['/'], 'find a thing'],
  [['L', 'W', 'R', 'M', 'A', 'D'], 'panels: layers, what if, runs, measures, alerts, data'],
  [['I'], 'impact of the shown run'],
  [['C'], 'comparing: A, B, swipe, difference'],
  [['T'], 'theme'],
  [['Enter', '⌫', 'Esc'], 'drawing: finish, undo a point, give up'],
  [['Esc'], 'close what is open'],
  [['?'], 'this help'],
];

export function step(direction: number): void {
  const shown = runs.first?.frames?.times;
  const frame = time.inForecast && shown && shown.length > 1 ? (shown[1]! - shown[0]!) * 1000 : null;
  time.step(direction * keyStep(time.span, frame));
}

const MODES = ['a', 'b', 'swipe', 'difference'] as const;

function edge(which: 0 | 1): void {
  const span = time.forecast;
  time.play(false);
  if (span) time.go(span[which]);
}

const PLAIN: Record<string, () => void> = {
  ' ': () => time.play(!time.playing),
  ',': () => step(-1),
  '.': () => step(1),
  Home: () => edge(0),
  End: () => edge(1),
  n: () => {
    time.play(false);
    time.go(null);
  },
  '/': () => document.getElementById('search')?.focus(),
  l: () => view.toggle('layers'),
  w: () => view.toggle('scenario'),
  r: () => view.toggle('runs'),
  m: () => view.toggle('measures'),
  a: () => view.toggle('alerts'),
  d: () => view.toggle('quality'),
  i: () => {
    view.result = !view.result;
    if (view.result) selection.close();
  },
  c: () => {
    if (runs.b) runs.mode = MODES[(MODES.indexOf(runs.mode) + 1) % MODES.length]!;
  },
  t: () => view.setTheme(view.dark ? 'light' : 'dark'),
  '?': () => (view.help = true),
  Escape: escape,
};

function escape(): void {
  if (draw.kind) draw.cancel();
  else if (selection.open) selection.close();
  else if (view.result) view.result = false;
  else view.panel = '';
}

function drawing(event: KeyboardEvent): boolean {
  if (!draw.kind) return false;
  if (event.key === 'Enter') draw.finish();
  else if (event.key === 'Backspace') draw.undo();
  else return false;
  return true;
}

export function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || view.help) return;
  if (target.matches('input:not([type=range]):not([type=checkbox]), textarea, select')) {
    if (event.key === 'Escape') target.blur();
    return;
  }
  if (event.key === ' ' && target.matches('button, summary, a, input')) return;
  if (event.key === 'Enter' && target.matches('button, summary, a')) return;
  const act = PLAIN[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (drawing(event)) event.preventDefault();
  else if (act) {
    event.preventDefault();
    act();
  }
}
