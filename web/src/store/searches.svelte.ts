/** Searches for measures: which strategies were tried, which are best, which one is recommended and why. */

import { api, ApiError } from '../api/client';
import type { SearchDetail, SearchInfo } from '../api/types';

class SearchStore {
  list = $state.raw<SearchInfo[]>([]);
  shown = $state.raw<SearchDetail | null>(null);
  failure = $state('');
  busy = $state(false);

  async refresh(): Promise<void> {
    await this.work(async () => {
      this.list = await api.searches();
    });
  }

  async start(study: string): Promise<boolean> {
    let started = false;
    await this.work(async () => {
      await api.startSearch(study);
      started = true;
      this.list = await api.searches();
    });
    return started;
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

  private async work(task: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.failure = '';
    try {
      await task();
    } catch (error) {
      this.failure = error instanceof ApiError && error.hint ? `${error.message} (${error.hint})` : (error as Error).message;
    } finally {
      this.busy = false;
    }
  }
}

export const searches = new SearchStore();
