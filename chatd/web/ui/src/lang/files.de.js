// Was das Panel von Dateien sagt, auf Deutsch.
const UNITS = ['Byte', 'KB', 'MB', 'GB'];
const number = new Intl.NumberFormat('de', { maximumFractionDigits: 1 });

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
        sending: (name) => `${name} wird gesendet`,
        of: (done, all) => `${done} von ${all}`,
        cancel: 'Senden abbrechen',
        cancelOf: (name) => `Senden von ${name} abbrechen`,
        drop: 'Dateien hier ablegen, um sie zu senden',
        nowhere: 'Dateien können hier nicht gesendet werden.',
        tooLarge: (name, most) => `${name} ist zu groß: höchstens ${most}.`,
        empty: (name) => `${name} ist leer oder ein Ordner. Ordner können nicht gesendet werden; packen Sie sie erst in eine Datei.`,
        kind: (name) => `${name} wurde nicht gesendet: Dateien dieser Art können hier nicht gesendet werden.`,
        soon: (name) => `${name} wurde nicht gesendet: Das waren viele Dateien in kurzer Zeit. Bitte warten Sie einen Moment.`,
        full: (name) => `${name} wurde nicht gesendet: Ihr Platz für Dateien ist aufgebraucht.`,
        because: (name, said) => `${name} wurde nicht gesendet: ${said}`,
        broken: (name) => `${name} konnte nicht gesendet werden. Prüfen Sie die Verbindung und versuchen Sie es noch einmal.`,
    },
    card: {
        enlarge: (name) => `${name} groß zeigen`,
        save: (name) => `${name} speichern`,
        gone: (name) => `${name} ist nicht mehr da.`,
    },
};
