/** How the page is arranged: theme, open panels, the map's view. */

export type Theme = 'system' | 'light' | 'dark';
export type Panel = 'scenario' | 'runs' | 'layers' | 'alerts' | 'measures' | 'quality' | '';

export interface Camera {
  zoom: number;
  lat: number;
  lon: number;
  bearing: number;
  pitch: number;
}

const KEY = 'citytwin.theme';
export const NARROW = 900;

class ViewStore {
  theme = $state<Theme>('system');
  system = $state(true);
  panel = $state<Panel>('layers');
  help = $state(false);
  /** The run's result panel is open beside the map. */
  result = $state(false);
  camera = $state.raw<Camera | null>(null);
  /** A camera the map should move to. */
  wanted = $state.raw<(Partial<Camera> & { fly?: boolean }) | null>(null);
  width = $state(1280);
  note = $state('');

  get dark(): boolean {
    return this.theme === 'dark' || (this.theme === 'system' && this.system);
  }

  get narrow(): boolean {
    return this.width < NARROW;
  }

  start(): void {
    const said = localStorage.getItem(KEY);
    if (said === 'light' || said === 'dark') this.theme = said;
    const media = matchMedia('(prefers-color-scheme: dark)');
    this.system = media.matches;
    media.addEventListener('change', () => (this.system = media.matches));
    this.width = innerWidth;
    addEventListener('resize', () => (this.width = innerWidth));
    if (this.narrow) this.panel = '';
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(KEY, theme);
  }

  toggle(panel: Panel): void {
    this.panel = this.panel === panel ? '' : panel;
  }

  /** Tells screen readers, and shows for a moment. */
  say(text: string): void {
    this.note = text;
    window.setTimeout(() => {
      if (this.note === text) this.note = '';
    }, 6000);
  }
}

export const view = new ViewStore();
