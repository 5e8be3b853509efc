// Ce que le panneau dit des fichiers, en français.
const UNITS = ['octets', 'Ko', 'Mo', 'Go'];
const number = new Intl.NumberFormat('fr', { maximumFractionDigits: 1 });

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
        sending: (name) => `Envoi de ${name}`,
        of: (done, all) => `${done} sur ${all}`,
        cancel: 'Annuler l’envoi',
        cancelOf: (name) => `Annuler l’envoi de ${name}`,
        drop: 'Déposez ici les fichiers à envoyer',
        nowhere: 'L’envoi de fichiers n’est pas possible ici.',
        tooLarge: (name, most) => `${name} est trop volumineux : ${most} au plus.`,
        empty: (name) => `${name} est vide ou est un dossier. Un dossier ne peut pas être envoyé ; compressez-le d’abord.`,
        kind: (name) => `${name} n’a pas été envoyé : ce type de fichier n’est pas accepté ici.`,
        soon: (name) => `${name} n’a pas été envoyé : cela fait beaucoup de fichiers en peu de temps. Patientez un instant.`,
        full: (name) => `${name} n’a pas été envoyé : votre espace pour les fichiers est plein.`,
        because: (name, said) => `${name} n’a pas été envoyé : ${said}`,
        broken: (name) => `${name} n’a pas pu être envoyé. Vérifiez la connexion et réessayez.`,
    },
    card: {
        enlarge: (name) => `Afficher ${name} en grand`,
        save: (name) => `Enregistrer ${name}`,
        gone: (name) => `${name} n’est plus disponible.`,
    },
};
