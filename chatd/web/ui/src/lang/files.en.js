// What the panel says of files, in English.
const UNITS = ['bytes', 'KB', 'MB', 'GB'];
const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

function size(bytes) {
    let unit = 0;
    let value = bytes;
    while (value >= 1024 && unit < UNITS.length - 1) {
        value /= 1024;
        unit += 1;
    }
    return `${number.format(unit ? value : Math.round(value))} ${UNITS[unit]}`;
}

export default {
    sending: {
        size,
        sending: (name) => `Sending ${name}`,
        of: (done, all) => `${done} of ${all}`,
        cancel: 'Stop sending',
        cancelOf: (name) => `Stop sending ${name}`,
        drop: 'Drop files here to send them',
        nowhere: 'Files cannot be sent here.',
        tooLarge: (name, most) => `${name} is too large: at most ${most}.`,
        empty: (name) => `${name} is empty, or a folder. Folders cannot be sent; pack them into a file first.`,
        kind: (name) => `${name} was not sent: files of this kind cannot be sent here.`,
        soon: (name) => `${name} was not sent: that were many files within a short time. Please wait a moment.`,
        full: (name, said) => `${name} was not sent. ${said || 'Your space for files is used up.'}`,
        because: (name, said) => `${name} was not sent: ${said}`,
        broken: (name) => `${name} could not be sent. Check your connection and try again.`,
    },
    card: {
        enlarge: (name) => `Show ${name} large`,
        save: (name) => `Save ${name}`,
        gone: (name) => `${name} is not there any more.`,
    },
};
