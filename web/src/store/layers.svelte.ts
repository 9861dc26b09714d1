/** Which map layers are shown, how strongly, and how devices are coloured. */

export interface LayerState {
  name: string;
  title: string;
  opacity: number;
  usual: number;
}

const LAYERS: [name: string, title: string, usual: number][] = [
  ['devices', 'Devices', 1],
  ['result', 'Simulated ground', 0.9],
  ['overlay', 'Simulated things', 0.95],
  ['facility', 'Facilities', 1],
  ['label', 'Names', 1],
  ['road', 'Roads', 1],
  ['building', 'Buildings', 1],
  ['zone', 'Zone borders', 0],
  ['land', 'Land use', 1],
  ['water', 'Rivers and water', 1],
];

class LayerStore {
  all = $state<LayerState[]>(LAYERS.map(([name, title, usual]) => ({ name, title, opacity: usual, usual })));
  /** "status", or a device kind whose values colour its devices (all others are hidden). */
  deviceColour = $state('status');
  /** Device kinds that are not shown. */
  hiddenKinds = $state.raw(new Set<string>());
  tilted = $state(true);

  opacity(name: string): number {
    return this.all.find((l) => l.name === name)?.opacity ?? 1;
  }

  set(name: string, opacity: number): void {
    const layer = this.all.find((l) => l.name === name);
    if (layer) layer.opacity = opacity;
  }

  toggle(name: string): void {
    const layer = this.all.find((l) => l.name === name);
    if (layer) layer.opacity = layer.opacity > 0 ? 0 : layer.usual || 1;
  }

  /** What differs from the usual, for the address. */
  get unusual(): Record<string, number> {
    return Object.fromEntries(this.all.filter((l) => l.opacity !== l.usual).map((l) => [l.name, l.opacity]));
  }

  showKinds(kinds: readonly string[], yes: boolean): void {
    const next = new Set(this.hiddenKinds);
    for (const kind of kinds) {
      if (yes) next.delete(kind);
      else next.add(kind);
    }
    this.hiddenKinds = next;
  }
}

export const layers = new LayerStore();
