declare module 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url' {
  const url: string;
  export default url;
}

interface Window {
  /** What tests and curious people may read of the page. */
  citytwin?: {
    ready?: boolean;
    map?: import('maplibre-gl').Map;
    state?: () => Record<string, unknown>;
    describe?: (kind: string, value: number, status: number) => string;
  };
}
