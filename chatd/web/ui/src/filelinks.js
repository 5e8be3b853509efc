// Links to files on this server: how they begin, and where this page finds them.
const PART = /^[A-Za-z0-9_-]{32}\/[^\s/\\<>"']+/;

/** `begin` is what the server says all addresses of files begin with ("https://chat.example.com/upload/"), or ''. */
class FileLinks {
    begin = '';

    /** The addresses of files in a text, each once. */
    in(text) {
        if (!this.begin || !text) return [];
        const parts = text.split(this.begin).slice(1).map((rest) => PART.exec(rest)?.[0].replace(/[.,;:!?)]+$/, '')).filter(Boolean);
        return [...new Set(parts)].map((part) => this.begin + part);
    }

    /** The same file, asked from the server this page came from: by its other names it is another site to browsers. */
    here(url) {
        const { pathname, search } = new URL(url);
        return `${location.origin}${pathname}${search}`;
    }

    /** What a file is called. */
    name(url) {
        const last = new URL(url).pathname.split('/').at(-1);
        try {
            return decodeURIComponent(last);
        } catch {
            return last;
        }
    }
}

export const fileLinks = new FileLinks();
