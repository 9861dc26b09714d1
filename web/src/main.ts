/** Opens the page: city first, then live devices and runs, then what the address says. */

import { mount } from 'svelte';
import './fonts.css';
import './app.css';
import App from './App.svelte';
import { followAddress, readAddress } from './panels/address.svelte';
import { installSeam } from './panels/seam';
import { alerts } from './store/alerts.svelte';
import { city } from './store/city.svelte';
import { commands } from './store/commands.svelte';
import { draft } from './store/draft.svelte';
import { live } from './store/live.svelte';
import { person } from './store/person.svelte';
import { runs } from './store/runs.svelte';
import { searches } from './store/searches.svelte';
import { time } from './store/time.svelte';
import { view } from './store/view.svelte';

async function open(): Promise<void> {
  view.start();
  person.start();
  installSeam();
  const said = readAddress();
  mount(App, { target: document.getElementById('app')! });
  await city.load();
  if (!city.info) return;
  await Promise.all([live.start({ run: (m) => runs.hear(m), command: (c) => commands.hear(c), alerts: (n) => alerts.hear(n), search: (s) => searches.hear(s) }), runs.refresh()]).catch((error: unknown) => {
    live.problem = (error as Error).message;
  });
  time.fit();
  draft.begin();
  await followAddress(said);
}

void open();
