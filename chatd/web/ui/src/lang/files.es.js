// Lo que el panel dice de los archivos, en español.
const UNITS = ['bytes', 'KB', 'MB', 'GB'];
const number = new Intl.NumberFormat('es', { maximumFractionDigits: 1 });

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
        sending: (name) => `Enviando ${name}`,
        of: (done, all) => `${done} de ${all}`,
        cancel: 'Cancelar el envío',
        cancelOf: (name) => `Cancelar el envío de ${name}`,
        drop: 'Suelte aquí los archivos para enviarlos',
        nowhere: 'Aquí no se pueden enviar archivos.',
        tooLarge: (name, most) => `${name} es demasiado grande: ${most} como máximo.`,
        empty: (name) => `${name} está vacío o es una carpeta. Las carpetas no se pueden enviar; comprímalas antes en un archivo.`,
        kind: (name) => `${name} no se ha enviado: aquí no se pueden enviar archivos de este tipo.`,
        soon: (name) => `${name} no se ha enviado: han sido muchos archivos en poco tiempo. Espere un momento.`,
        full: (name) => `${name} no se ha enviado: su espacio para archivos está agotado.`,
        because: (name, said) => `${name} no se ha enviado: ${said}`,
        broken: (name) => `No se ha podido enviar ${name}. Compruebe la conexión e inténtelo de nuevo.`,
    },
    card: {
        enlarge: (name) => `Ver ${name} en grande`,
        save: (name) => `Guardar ${name}`,
        gone: (name) => `${name} ya no está.`,
    },
};
