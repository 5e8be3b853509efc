// Gives a TensorFlow Lite model the metadata that MediaPipe's ImageSegmenter asks for: that its input is an RGB picture with
// values from 0 to 1. The model in @mediapipe/selfie_segmentation is the one for segmenters, but from before they asked.
//
// Both the model and its metadata are FlatBuffers. The old model stays as it is, byte for byte; a new root with one more
// buffer is put before it and points into it (offsets of FlatBuffers go forward only).

const ALIGNED = 16; // what TensorFlow Lite wants of the data of buffers

const table = (fields) => ({ kind: 'table', fields }); // by number: {u8|u32|ref: value}
const refs = (items) => ({ kind: 'refs', items });
const raw = (count, bytes, align = 4) => ({ kind: 'raw', count, bytes, align });
const text = (words) => raw(words.length, Buffer.from(`${words}\0`));
const floats = (values) => raw(values.length, Buffer.from(new Float32Array(values).buffer));
const outside = (at) => ({ kind: 'outside', at }); // a position in what follows

/** Writes a FlatBuffer: parents before children. follows: what stands behind, aligned, for `outside`. */
function write(root, identifier, follows = Buffer.alloc(0)) {
    const out = Buffer.alloc(1 << 16);
    const later = [];
    let end = 8;
    const align = (to, before = 0) => { end = Math.ceil((end + before) / to) * to - before; };
    const point = (from, node) => {
        if (node.kind === 'outside') later.push([from, node.at]);
        else { const at = put(node); out.writeUInt32LE(at - from, from); }
    };
    const put = (node) => {
        if (node.kind === 'table') return putTable(node.fields);
        align(node.align ?? 4, 4);
        const at = end;
        if (node.kind === 'raw') {
            out.writeUInt32LE(node.count, at);
            node.bytes.copy(out, at + 4);
            end = at + 4 + node.bytes.length;
        } else {
            out.writeUInt32LE(node.items.length, at);
            end = at + 4 + 4 * node.items.length;
            node.items.forEach((item, index) => point(at + 4 + 4 * index, item));
        }
        return at;
    };
    const putTable = (fields) => {
        align(4);
        const numbers = Object.keys(fields).map(Number);
        const size = 4 + 2 * (Math.max(-1, ...numbers) + 1);
        const vtable = end;
        end += size;
        align(4);
        const at = end;
        out.writeUInt16LE(size, vtable);
        out.writeUInt16LE(4 + 4 * numbers.length, vtable + 2);
        out.writeInt32LE(at - vtable, at);
        end = at + 4 + 4 * numbers.length;
        numbers.forEach((number, index) => {
            const place = at + 4 + 4 * index;
            const { u8, u32, ref } = fields[number];
            out.writeUInt16LE(place - at, vtable + 4 + 2 * number);
            if (ref) point(place, ref);
            else out.writeUInt32LE(u32 ?? u8, place);
        });
        return at;
    };
    out.write(identifier, 4, 'latin1');
    point(0, root);
    align(ALIGNED);
    for (const [from, at] of later) out.writeUInt32LE(end + at - from, from);
    return Buffer.concat([out.subarray(0, end), follows]);
}

/** Positions in a FlatBuffer: where the field of a table points to; 0 where it is not there. */
function fieldOf(model, at, number) {
    const vtable = at - model.readInt32LE(at);
    const offset = 4 + 2 * number < model.readUInt16LE(vtable) ? model.readUInt16LE(vtable + 4 + 2 * number) : 0;
    return offset && at + offset;
}

const target = (model, at) => at + model.readUInt32LE(at);

/** What is said of the input: a picture in red, green and blue (ImageProperties), each value divided by 255 (NormalizationOptions). */
function metadata() {
    const picture = table({ 0: { u8: 2 }, 1: { ref: table({ 0: { u8: 1 } }) } });
    const scale = table({ 0: { u8: 1 }, 1: { ref: table({ 0: { ref: floats([0]) }, 1: { ref: floats([1]) } }) } });
    const input = table({ 0: { ref: text('image') }, 3: { ref: picture }, 4: { ref: refs([scale]) } });
    const output = table({ 0: { ref: text('mask') } });
    const graph = table({ 2: { ref: refs([input]) }, 3: { ref: refs([output]) } });
    return write(table({ 0: { ref: text('segmenter') }, 3: { ref: refs([graph]) } }), 'M001');
}

/** Returns the model with metadata. Throws when it is none, or has some. */
export function withMetadata(model) {
    if (model.toString('latin1', 4, 8) !== 'TFL3') throw new Error('this is no TensorFlow Lite model');
    const root = target(model, 0);
    if (fieldOf(model, root, 6)) throw new Error('this model has metadata');
    const vector = target(model, fieldOf(model, root, 4));
    const count = model.readUInt32LE(vector);
    const buffers = Array.from({ length: count }, (_, index) => outside(target(model, vector + 4 + 4 * index)));
    const said = metadata();
    const old = (number) => ({ ref: outside(target(model, fieldOf(model, root, number))) });
    return write(table({
        0: { u32: model.readUInt32LE(fieldOf(model, root, 0)) }, 1: old(1), 2: old(2), 3: old(3),
        4: { ref: refs([...buffers, table({ 0: { ref: raw(said.length, said, ALIGNED) } })]) },
        6: { ref: refs([table({ 0: { ref: text('TFLITE_METADATA') }, 1: { u32: count } })]) },
    }), 'TFL3', model);
}
