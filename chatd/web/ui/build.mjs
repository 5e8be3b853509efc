// Builds the browser files: `npm run build` writes chatd/web/static/ from src/ and the installed converse.js (the panel)
// and from meet/ with Vite (the meeting page).
//
// Converse.js does not survive another bundler, so its dist/ is copied as it is: without source maps, its unminified
// twins, its web site, and without its OMEMO library, which the panel does not use. What is copied or ours goes
// into assets/NAME.HASH/, the hash being over the folder's content, so browsers may keep it for ever. Beside each
// file that gains by it lie .gz and .br forms.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'vite';
import { withMetadata } from './segmenter.mjs';
import TEXT from './src/lang/panel.en.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const SRC = join(HERE, 'src');
const MEET = join(HERE, 'meet');
const CONVERSE = join(HERE, 'node_modules', 'converse.js', 'dist');
const HASHES = join(HERE, 'node_modules', '@noble', 'hashes');
const MEDIAPIPE = join(HERE, 'node_modules', '@mediapipe');
const TARGET = join(HERE, '..', 'static');
const BUILDING = `${TARGET}.building`;

const COMPRESSED = /\.(js|css|html|json|svg|ttf|webmanifest|txt|wasm|tflite)$/;
const LARGE = 4_000_000;
const LEFT_OUT = [
    /\.map$/,
    /^converse\.(js|css)$/, // the .min ones are taken
    /^website\./,
    /^libomemo/,
    /\.wasm$/,
    /^shared-connection-worker\.js$/,
    /^manifest\.json$/,
    /^images\//, // logos of the project's own site
    /^webfonts\/(baumans|muli)/i, // the theme uses the system's fonts
];

/** Lists all files below a folder by their path from it, with slashes, sorted. */
function files(folder) {
    return readdirSync(folder, { recursive: true })
        .map((name) => name.split(sep).join('/'))
        .filter((name) => statSync(join(folder, name)).isFile())
        .sort();
}

/** Copies what `wanted` accepts from one folder to another. */
function copy(from, to, wanted) {
    for (const name of files(from).filter(wanted)) {
        mkdirSync(dirname(join(to, name)), { recursive: true });
        cpSync(join(from, name), join(to, name));
    }
}

/** Renames assets/NAME to assets/NAME.HASH and returns its path on the server. */
function seal(name) {
    const folder = join(BUILDING, 'assets', name);
    const digest = createHash('sha256');
    for (const file of files(folder)) digest.update(`${file}\0`).update(readFileSync(join(folder, file)));
    const sealed = `${name}.${digest.digest('hex').slice(0, 12)}`;
    renameSync(folder, join(BUILDING, 'assets', sealed));
    return `/assets/${sealed}`;
}

/** Writes the compressed forms of every file that gets smaller by at least a tenth. */
function compress() {
    for (const name of files(BUILDING).filter((file) => COMPRESSED.test(file))) {
        const data = readFileSync(join(BUILDING, name));
        const forms = {
            gz: gzipSync(data, { level: 9 }),
            br: brotliCompressSync(data, { params: {
                [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
                [constants.BROTLI_PARAM_QUALITY]: data.length > LARGE ? 9 : 11, // 11 takes half a minute for MediaPipe's program
            } }),
        };
        for (const [ending, packed] of Object.entries(forms)) {
            if (packed.length < data.length * 0.9) writeFileSync(join(BUILDING, `${name}.${ending}`), packed);
        }
    }
}

/** Builds the meeting page's scripts and styles; what is not needed at once stays in files of its own. */
async function buildMeet() {
    const { output } = await build({
        root: MEET, base: './', configFile: false, logLevel: 'warn', publicDir: false,
        esbuild: { jsx: 'automatic', legalComments: 'none' },
        resolve: { conditions: ['browser', 'module', 'import', 'default'] },
        build: {
            outDir: join(BUILDING, 'assets', 'meet'), target: 'es2022', cssCodeSplit: false, modulePreload: false, emptyOutDir: false,
            chunkSizeWarningLimit: 1_000, assetsInlineLimit: 0,
            rollupOptions: {
                input: join(MEET, 'main.jsx'),
                output: { entryFileNames: '[name].js', chunkFileNames: '[name].js', assetFileNames: 'main[extname]' },
            },
        },
    });
    if (!output.some((file) => file.fileName === 'main.css')) throw new Error('Vite has made no main.css');
}

/** Copies what the blurred background needs and fetches when it is switched on: MediaPipe's program, its model. */
function copyBlur() {
    const folder = join(BUILDING, 'assets', 'blur');
    copy(join(MEDIAPIPE, 'tasks-vision', 'wasm'), folder, (name) => /^vision_wasm_internal\.(js|wasm)$/.test(name));
    const model = readFileSync(join(MEDIAPIPE, 'selfie_segmentation', 'selfie_segmentation.tflite'));
    writeFileSync(join(folder, 'segmenter.tflite'), withMetadata(model));
}

/**
 * Writes a page with its {{placeholders}} filled in, and its words in English: those of `data-words` inside the element, those
 * of `data-words-NAME` as the attribute NAME. words.js says them in other languages.
 */
function fill(from, to) {
    const known = (name, all) => {
        const value = name.split('.').reduce((found, key) => found?.[key], all);
        if (typeof value !== 'string') throw new Error(`${from} asks for ${name}, which the build does not know`);
        return value.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
    };
    const page = readFileSync(from, 'utf8')
        .replace(/\{\{(\w+)\}\}/g, (_, name) => known(name, places))
        .replace(/ data-words="([\w.]+)"[^>]*>/g, (start, key) => start + known(key, TEXT))
        .replace(/ data-words-([\w-]+)="([\w.]+)"/g, (attribute, name, key) => `${attribute} ${name}="${known(key, TEXT)}"`);
    writeFileSync(to, page);
}

rmSync(BUILDING, { recursive: true, force: true });
mkdirSync(join(BUILDING, 'assets', 'panel'), { recursive: true });
copy(CONVERSE, join(BUILDING, 'assets', 'converse'), (name) => !LEFT_OUT.some((pattern) => pattern.test(name)));
copy(SRC, join(BUILDING, 'assets', 'panel'), (name) => !['index.html', 'embed.html', 'embed.js'].includes(name));
copy(HASHES, join(BUILDING, 'assets', 'panel', 'hashes'), (name) => /^(legacy|sha2|_md|_u64|utils)\.js$/.test(name));
await buildMeet();
copyBlur();
const places = { converse: seal('converse'), panel: seal('panel'), meet: seal('meet'), blur: seal('blur') };
fill(join(SRC, 'index.html'), join(BUILDING, 'index.html'));
for (const folder of ['meet', 'embed']) mkdirSync(join(BUILDING, folder));
fill(join(SRC, 'embed.html'), join(BUILDING, 'embed', 'index.html'));
cpSync(join(SRC, 'embed.js'), join(BUILDING, 'embed.js'));
fill(join(MEET, 'index.html'), join(BUILDING, 'meet', 'index.html'));
cpSync(join(SRC, 'favicon.svg'), join(BUILDING, 'favicon.svg'));
compress();
rmSync(TARGET, { recursive: true, force: true });
renameSync(BUILDING, TARGET);

const sizes = files(TARGET).map((name) => statSync(join(TARGET, name)).size);
const total = sizes.reduce((sum, size) => sum + size, 0);
console.log(`${sizes.length} files, ${(total / 1e6).toFixed(1)} MB in ${relative(process.cwd(), TARGET) || TARGET}`);
