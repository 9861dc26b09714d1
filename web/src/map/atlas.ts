/** The map itself: made once, told what to show by MapView. */

import { addProtocol, Map, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource } from 'maplibre-gl';
import worker from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import type { FeatureCollection } from 'geojson';
import { Protocol } from 'pmtiles';
import { FieldLayer } from './field-layer';
import { addIcons } from './icons';
import { PointsLayer } from './points-layer';
import { GROUND_SLOT, POINT_SLOT, style, type Grouped } from './style';

setWorkerUrl(worker);
addProtocol('pmtiles', new Protocol().tile);

export interface Start {
  container: HTMLElement;
  dark: boolean;
  tiles: string;
  bounds: [number, number, number, number];
  camera: { zoom: number; lat: number; lon: number; bearing: number; pitch: number } | null;
  pitch: number;
}

export class Atlas {
  readonly map: Map;
  readonly points = new PointsLayer();
  readonly field = new FieldLayer();
  private readonly tiles: string;
  private opacities: Record<string, number> = {};

  constructor(start: Start) {
    this.tiles = start.tiles;
    const c = start.camera;
    const [w, s, e, n] = start.bounds;
    const pad = Math.max(e - w, n - s) * 1.2;
    this.map = new Map({
      container: start.container,
      style: style(start.dark, start.tiles),
      ...(c
        ? { center: [c.lon, c.lat] as [number, number], zoom: c.zoom, bearing: c.bearing, pitch: c.pitch }
        : { bounds: start.bounds, fitBoundsOptions: { padding: 24 }, pitch: start.pitch }),
      maxBounds: [w - pad, s - pad, e + pad, n + pad],
      maxPitch: 70,
      attributionControl: false,
      fadeDuration: 150,
      canvasContextAttributes: { antialias: devicePixelRatio < 2, preserveDrawingBuffer: location.hash.includes('keep-pixels') },
    });
    this.map.addControl(new NavigationControl({ visualizePitch: true }), 'top-right');
    this.map.addControl(new ScaleControl({ maxWidth: 120 }), 'bottom-right');
    this.map.keyboard.enable();
  }

  /** Resolves when the style is there and the custom layers are in. */
  async ready(dark: boolean): Promise<void> {
    await new Promise<void>((done) => {
      this.map.once('style.load', () => {
        addIcons(this.map, dark);
        done();
      });
    });
    this.map.addLayer(this.field, GROUND_SLOT);
    this.map.addLayer(this.points, POINT_SLOT);
    this.edge(dark);
  }

  private edge(dark: boolean): void {
    this.points.edge = dark ? [0.04, 0.06, 0.08] : [1, 1, 1];
  }

  /** Changes colours in place, which keeps tiles, feature state and custom layers. */
  retheme(dark: boolean): void {
    const next = style(dark, this.tiles);
    for (const layer of next.layers) {
      if (!this.map.getLayer(layer.id)) continue;
      for (const [name, value] of Object.entries(layer.paint ?? {})) this.map.setPaintProperty(layer.id, name as 'line-color', value as string);
    }
    if (next.sky) this.map.setSky(next.sky);
    if (next.light) this.map.setLight(next.light);
    addIcons(this.map, dark);
    this.edge(dark);
    const before = this.opacities;
    this.opacities = {};
    for (const [group, opacity] of Object.entries(before)) this.setOpacity(group, opacity, dark);
  }

  /** Sets how strongly a group of layers is drawn; 0 hides it. */
  setOpacity(group: string, opacity: number, dark: boolean): void {
    if (this.opacities[group] === opacity) return;
    this.opacities[group] = opacity;
    if (group === 'devices') this.points.opacity = opacity;
    if (group === 'result') this.field.opacity = opacity;
    const layers = (style(dark, this.tiles).layers as Grouped[]).filter((l) => l.metadata?.group === group);
    for (const layer of layers) this.fade(layer, group, opacity);
    this.map.triggerRepaint();
  }

  private fade(layer: Grouped, group: string, opacity: number): void {
    if (group !== 'overlay') this.map.setLayoutProperty(layer.id, 'visibility', opacity > 0 ? 'visible' : 'none');
    if (layer.id.endsWith('-overlay')) return; // these follow the marks of the overlay
    for (const [name, value] of Object.entries(layer.paint ?? {})) {
      if (name.endsWith('-opacity') && typeof value === 'number') this.map.setPaintProperty(layer.id, name as 'line-opacity', value * opacity);
    }
  }

  setData(name: 'selected' | 'planned', data: FeatureCollection): void {
    this.map.getSource<GeoJSONSource>(name)?.setData(data);
  }
}
