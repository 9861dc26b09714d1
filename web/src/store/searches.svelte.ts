/** Searches for measures: which strategies were tried, which are best, which one is recommended and why. */

import { api } from '../api/client';
import type { SearchDetail, SearchInfo } from '../api/types';
import { Tasks } from './tasks.svelte';

class SearchStore extends Tasks {
  list = $state.raw<SearchInfo[]>([]);
  shown = $state.raw<SearchDetail | null>(null);

  async refresh(): Promise<void> {
    await this.work(async () => {
      this.list = await api.searches();
    });
  }

  async start(study: string): Promise<boolean> {
    return this.work(async () => {
      await api.startSearch(study);
      this.list = await api.searches();
    });
  }

  async show(id: string): Promise<void> {
    await this.work(async () => {
      this.shown = await api.measures(id);
    });
  }

  async remove(id: string): Promise<void> {
    await this.work(async () => {
      await api.endSearch(id);
      if (this.shown?.id === id) this.shown = null;
      this.list = await api.searches();
    });
  }

  /** News from the live connection. */
  hear(news: { id: string; status: string; progress: number; words: string }): void {
    const known = this.list.find((s) => s.id === news.id);
    const status = news.status as SearchInfo['status'];
    if (known) this.list = this.list.map((s) => (s.id === news.id ? { ...s, status, progress: news.progress, words: news.words } : s));
    if (!known || (status !== known.status && status !== 'running')) void this.refresh();
  }
}

export const searches = new SearchStore();
