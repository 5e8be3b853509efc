// A driver of Chromium is told what to do in JSON lines: {id, op, …} in, {id, ok|error} out. It ends with its input.
import { createInterface } from 'node:readline';

/** `ops`: what can be asked for, by name; `close()`: what is to be done at the end. */
export function answer(ops, close) {
    createInterface({ input: process.stdin }).on('line', async (line) => {
        const { id, op, ...rest } = JSON.parse(line);
        let said;
        try {
            said = { id, ok: (await ops[op](rest)) ?? null };
        } catch (error) {
            said = { id, error: String(error.message ?? error) };
        }
        process.stdout.write(`${JSON.stringify(said)}\n`);
    }).on('close', async () => {
        await close();
        process.exit(0);
    });
}
