/** What tests (and curious people in the console) may read of the page, and the text of a device under the pointer. */

import { quantity, words } from '../lib/format';
import { city } from '../store/city.svelte';
import { live, STATUSES } from '../store/live.svelte';
import { runs } from '../store/runs.svelte';
import { selection } from '../store/selection.svelte';
import { time } from '../store/time.svelte';
import { view } from '../store/view.svelte';

export function installSeam(): void {
  window.citytwin = {
    ...window.citytwin,
    describe: (kind, value, status) => `${words(kind)}: ${quantity(value, city.kinds.get(kind)?.unit ?? '1')} · ${STATUSES[status] ?? ''}`,
    state: () => ({
      devices: live.size,
      updates: live.updates,
      connected: live.connected,
      resyncs: live.resyncs,
      counts: live.counts,
      at: time.at,
      live: time.isLive,
      inForecast: time.inForecast,
      playing: time.playing,
      run: runs.a,
      against: runs.b,
      mode: runs.mode,
      column: runs.column,
      raster: runs.rasterA ? { frames: runs.rasterA.frames, width: runs.rasterA.width, height: runs.rasterA.height } : null,
      overlay: runs.overlay,
      selected: selection.chosen,
      panel: view.panel,
      dark: view.dark,
    }),
  };
}
