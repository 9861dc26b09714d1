/** A declared column, and values of columns for the rows of a table, as the server writes them. */

export interface Column {
  name: string;
  title: string;
  table: string;
  unit: string;
  meaning: string;
  low: number | null;
  high: number | null;
  start: number | null;
  peak: string;
  ramp: string;
  steps: number[];
  categories: string[];
  source: string;
}

export interface TableColumns {
  key: string[];
  columns: Record<string, (number | string | null)[]>;
}
