// The blurred background: what is behind the person is found by a model in the browser and blurred before it is sent. The
// model and its program are files of this server, fetched when it is first switched on.
import { BackgroundProcessor, supportsBackgroundProcessors } from '@livekit/track-processors';

const RADIUS = { light: 5, strong: 14 };
const READY_MS = 20_000;
const SLOW_MS = 90; // a picture; under eleven a second people seem to stutter
const LOOKED_AT = 12; // pictures
const LESS = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { max: 8 } }; // what a slow machine still manages beside the rest

/** Whether this browser can do it. */
export const canBlur = () => {
    try { return supportsBackgroundProcessors() && typeof WebAssembly === 'object'; } catch { return false; }
};

/**
 * A processor for a camera's track. strength: light or strong; onSlow: this machine is too slow for it, and smaller and
 * fewer pictures are taken, because the work is done where the page lives. `ready` resolves
 * when the first picture has been blurred: the library lets the very first one through as it is, so nothing may be sent
 * before. Throws Error('blurUnsupported').
 */
export function blurOf(strength, onSlow = () => {}) {
    if (!canBlur()) throw new Error('blurUnsupported');
    let [seen, spent, isReady, isSlow] = [0, 0, null, false];
    const base = `${location.origin}${document.documentElement.dataset.blur}`;
    const processor = BackgroundProcessor({
        mode: 'background-blur', blurRadius: RADIUS[strength],
        assetPaths: { tasksVisionFileSet: base, modelAssetPath: `${base}/segmenter.tflite` },
        onFrameProcessed: ({ processingTimeMs }) => {
            isReady?.();
            seen += 1;
            spent += processingTimeMs;
            if (seen % LOOKED_AT) return;
            if (spent / LOOKED_AT > SLOW_MS && !isSlow) {
                isSlow = true;
                processor.source?.applyConstraints(LESS).catch(() => {});
                onSlow();
            }
            spent = 0;
        },
    });
    processor.ready = new Promise((resolve, reject) => {
        isReady = resolve;
        setTimeout(() => reject(new Error('blurBroken')), READY_MS);
    });
    processor.ready.catch(() => {});
    processor.change = (wanted) => processor.switchTo({ mode: 'background-blur', blurRadius: RADIUS[wanted] });
    return processor;
}

/** Blurs a track for the preview: {track, change(strength), stop()}; rejects with Error('blurUnsupported' | 'blurBroken'). */
export async function blurPreview(source, strength, onSlow) {
    const processor = blurOf(strength, onSlow);
    const element = Object.assign(document.createElement('video'), { muted: true, srcObject: new MediaStream([source]) });
    const stop = () => {
        element.srcObject = null;
        processor.destroy().catch(() => {});
    };
    try {
        await element.play();
        await processor.init({ kind: 'video', track: source, element });
        await processor.ready;
    } catch (error) {
        stop();
        console.error(error);
        throw new Error('blurBroken', { cause: error });
    }
    return { track: processor.processedTrack, change: processor.change, stop };
}
