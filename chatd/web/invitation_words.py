"""The words of the page of an invitation, in the languages of the meeting page; HTML, but for the parts in braces."""

from __future__ import annotations

from typing import Final

__all__ = ["WORDS", "language_of"]

WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "lang": "en", "title": "You are invited", "by": "<strong>{inviter}</strong> invites you to chat.",
        "to": "You can make an account at <strong>{domain}</strong>.", "name": "User name",
        "address": "Your address will end in @{domain}.", "password": "Password", "again": "The same password again",
        "make": "Make my account", "program": "Do you have a chat program?",
        "program_says": "An XMPP program on this device can take the invitation instead.",
        "program_open": "Open in my chat program",
        "code": "The invitation as a QR code",
        "scan": "For a phone: read this with its camera or its chat program.",
        "done_title": "Welcome", "done": "Your account is ready: {jid}.",
        "open": "Log in", "gone_title": "This invitation is not valid",
        "gone": "It was used already, or too much time has passed. Ask for a new one.",
        "wait_title": "One moment, please", "wait": "That was tried too often. Please try again in a minute.",
        "differ": "The two passwords differ.", "missing": "Please choose a user name and a password.",
        "conflict": "This name is taken. Please choose another one.",
        "jid-malformed": "This cannot be a user name. Please use letters and digits.",
        "not-acceptable": "This password cannot be used, or the name is not the one you were invited with.",
        "impossible": "That was not possible. Please try again later.",
    },
    "de": {
        "lang": "de", "title": "Sie sind eingeladen", "by": "<strong>{inviter}</strong> lädt Sie zum Chatten ein.",
        "to": "Sie können ein Konto bei <strong>{domain}</strong> anlegen.", "name": "Benutzername",
        "address": "Ihre Adresse endet auf @{domain}.", "password": "Passwort", "again": "Das Passwort noch einmal",
        "make": "Konto anlegen", "program": "Haben Sie schon ein Chat-Programm?",
        "program_says": "Ein XMPP-Programm auf diesem Gerät kann die Einladung auch annehmen.",
        "program_open": "Im Chat-Programm öffnen",
        "code": "Die Einladung als QR-Code",
        "scan": "Für das Telefon: mit der Kamera oder dem Chat-Programm einlesen.",
        "done_title": "Willkommen", "done": "Ihr Konto ist bereit: {jid}.",
        "open": "Anmelden", "gone_title": "Diese Einladung gilt nicht",
        "gone": "Sie wurde schon benutzt oder ist zu alt. Bitten Sie um eine neue.",
        "wait_title": "Einen Moment bitte", "wait": "Das wurde zu oft versucht. Bitte in einer Minute noch einmal.",
        "differ": "Die beiden Passwörter sind verschieden.", "missing": "Bitte Benutzername und Passwort wählen.",
        "conflict": "Dieser Name ist vergeben. Bitte wählen Sie einen anderen.",
        "jid-malformed": "Das kann kein Benutzername sein. Bitte Buchstaben und Ziffern verwenden.",
        "not-acceptable": "Dieses Passwort geht nicht, oder der Name ist nicht der aus der Einladung.",
        "impossible": "Das ging nicht. Bitte später noch einmal versuchen.",
    },
    "es": {
        "lang": "es", "title": "Tiene una invitación", "by": "<strong>{inviter}</strong> le invita a chatear.",
        "to": "Puede crear una cuenta en <strong>{domain}</strong>.", "name": "Nombre de usuario",
        "address": "Su dirección terminará en @{domain}.", "password": "Contraseña", "again": "La contraseña otra vez",
        "make": "Crear mi cuenta", "program": "¿Tiene un programa de chat?",
        "program_says": "Un programa XMPP de este dispositivo también puede aceptar la invitación.",
        "program_open": "Abrir en mi programa de chat",
        "code": "La invitación como código QR",
        "scan": "Para el teléfono: léalo con la cámara o con el programa de chat.",
        "done_title": "Todo listo",
        "done": "Su cuenta está lista: {jid}.", "open": "Iniciar sesión", "gone_title": "Esta invitación no es válida",
        "gone": "Ya se usó o ha pasado demasiado tiempo. Pida una nueva.",
        "wait_title": "Un momento, por favor", "wait": "Demasiados intentos. Inténtelo de nuevo en un minuto.",
        "differ": "Las dos contraseñas son distintas.", "missing": "Elija un nombre de usuario y una contraseña.",
        "conflict": "Este nombre está ocupado. Elija otro.",
        "jid-malformed": "Esto no puede ser un nombre de usuario. Use letras y cifras.",
        "not-acceptable": "Esta contraseña no sirve, o el nombre no es el de la invitación.",
        "impossible": "No ha sido posible. Inténtelo más tarde.",
    },
    "fr": {
        "lang": "fr", "title": "Vous avez une invitation", "by": "<strong>{inviter}</strong> vous invite à discuter.",
        "to": "Vous pouvez créer un compte sur <strong>{domain}</strong>.", "name": "Nom d’utilisateur",
        "address": "Votre adresse se terminera par @{domain}.", "password": "Mot de passe",
        "again": "Le mot de passe encore une fois", "make": "Créer mon compte",
        "program": "Avez-vous un logiciel de discussion ?",
        "program_says": "Un logiciel XMPP sur cet appareil peut aussi accepter l’invitation.",
        "program_open": "Ouvrir dans mon logiciel",
        "code": "L’invitation en code QR",
        "scan": "Pour le téléphone : lisez-le avec l’appareil photo ou le logiciel de discussion.",
        "done_title": "Bienvenue", "done": "Votre compte est prêt : {jid}.",
        "open": "Se connecter", "gone_title": "Cette invitation n’est pas valable",
        "gone": "Elle a déjà servi ou elle est trop ancienne. Demandez-en une autre.",
        "wait_title": "Un instant, s’il vous plaît", "wait": "Trop d’essais. Réessayez dans une minute.",
        "differ": "Les deux mots de passe sont différents.",
        "missing": "Choisissez un nom d’utilisateur et un mot de passe.",
        "conflict": "Ce nom est pris. Choisissez-en un autre.",
        "jid-malformed": "Ceci ne peut pas être un nom d’utilisateur. Utilisez des lettres et des chiffres.",
        "not-acceptable": "Ce mot de passe ne convient pas, ou le nom n’est pas celui de l’invitation.",
        "impossible": "Cela n’a pas été possible. Réessayez plus tard.",
    },
}


def language_of(accepted: str) -> str:
    """The first language of an Accept-Language header that there are words for, else English; its weights come in
    order from all browsers."""
    for part in accepted.split(",")[:20]:
        word = part.partition(";")[0].strip().lower()[:2]
        if word in WORDS:
            return word
    return "en"
