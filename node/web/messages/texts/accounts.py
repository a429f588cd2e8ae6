"""Texts of log-in, set-up, accounts, tokens and the audit trail."""

ACCOUNTS: dict[str, tuple[str, str]] = {
    "log_in.title": ("Log in", "Connexion"),
    "log_in.name": ("Log-in name", "Identifiant"),
    "log_in.password": ("Password", "Mot de passe"),
    "log_in.do": ("Log in", "Se connecter"),
    "log_in.provider": (
        "Log in with the hospital account",
        "Se connecter avec le compte hospitalier",
    ),
    "log_in.wrong": (
        "Name and password do not match an account. Try again; an administrator can set a new "
        "password.",
        "L’identifiant et le mot de passe ne correspondent à aucun compte. Réessayez ; un "
        "administrateur peut définir un nouveau mot de passe.",
    ),
    "log_in.too_many": (
        "Too many failed log-ins. Wait 15 minutes, or ask an administrator.",
        "Trop d’échecs de connexion. Attendez 15 minutes ou adressez-vous à un administrateur.",
    ),
    "log_in.refused": (
        "The identity provider’s answer could not be used: {why}",
        "La réponse du fournisseur d’identité est inutilisable : {why}",
    ),
    "log_out.do": ("Log out", "Se déconnecter"),
    "set_up.title": ("Set up this node", "Mise en service du nœud"),
    "set_up.lead": (
        "Make the first administrator. The link works once; further accounts are added on the "
        "page Accounts.",
        "Créez le premier administrateur. Le lien ne sert qu’une fois ; les autres comptes "
        "s’ajoutent sur la page Comptes.",
    ),
    "set_up.void": (
        "This link is void: it was used, it is older than 24 hours, or the node has been started "
        "again since. While no account exists, each start prints a new one; "
        "pctnode users add makes an account from a shell.",
        "Ce lien n’est plus valable : il a servi, il date de plus de 24 heures, ou le nœud a "
        "redémarré depuis. Tant qu’aucun compte n’existe, chaque démarrage en affiche un "
        "nouveau ; pctnode users add crée un compte depuis un terminal.",
    ),
    "set_up.do": ("Make the administrator", "Créer l’administrateur"),
    "password.hint": ("12 to 256 characters.", "De 12 à 256 caractères."),
    "nav.accounts": ("Accounts", "Comptes"),
    "role.viewer": ("Viewer", "Lecture"),
    "role.physicist": ("Physicist", "Physicien médical"),
    "role.admin": ("Administrator", "Administrateur"),
    "role.viewer.may": ("sees series and findings", "consulte séries et constats"),
    "role.physicist.may": (
        "also signs, rejects, sends, runs again",
        "valide, rejette, envoie et relance également",
    ),
    "role.admin.may": (
        "also changes systems, routes, models and accounts",
        "modifie également systèmes, routes, modèles et comptes",
    ),
    "accounts.title": ("Accounts", "Comptes"),
    "accounts.add": ("Add an account", "Ajouter un compte"),
    "accounts.do_add": ("Add the account", "Ajouter le compte"),
    "accounts.display_name": ("Name as it is shown", "Nom affiché"),
    "accounts.role": ("Role", "Rôle"),
    "accounts.logs_in": ("Logs in by", "Connexion par"),
    "accounts.by_password": ("password", "mot de passe"),
    "accounts.by_provider": ("identity provider", "fournisseur d’identité"),
    "accounts.seen": ("Last seen", "Dernière activité"),
    "accounts.never": ("never", "jamais"),
    "accounts.disabled": ("disabled", "désactivé"),
    "accounts.change": ("Change {name}", "Modifier {name}"),
    "accounts.do_change": ("Save the role", "Enregistrer le rôle"),
    "accounts.do_disable": ("Disable {name}", "Désactiver {name}"),
    "accounts.do_enable": ("Enable {name}", "Réactiver {name}"),
    "accounts.do_password": ("Set the password", "Définir le mot de passe"),
    "accounts.none": (
        'This node asks nobody who he is (auth = "none"), so there are no accounts.',
        'Ce nœud ne demande à personne de s’identifier (auth = "none") : il n’y a pas de compte.',
    ),
    "account.title": ("My account", "Mon compte"),
    "account.old_password": ("Present password", "Mot de passe actuel"),
    "account.new_password": ("New password", "Nouveau mot de passe"),
    "account.do_password": ("Change my password", "Changer mon mot de passe"),
    "account.password_changed": (
        "The password is changed and other sessions are ended.",
        "Le mot de passe est changé ; les autres sessions sont closes.",
    ),
    "token.title": ("API tokens", "Jetons d’API"),
    "token.docs": ("What programs may ask for", "Ce que les programmes peuvent demander"),
    "token.lead": (
        "A program shows a token instead of a password: Authorization: Bearer pct_…",
        "Un programme présente un jeton au lieu d’un mot de passe : Authorization: Bearer pct_…",
    ),
    "token.label": ("What it is for", "Usage"),
    "token.days": ("Days it is valid", "Validité en jours"),
    "token.until": ("Valid until", "Valable jusqu’au"),
    "token.used": ("Last used", "Dernier usage"),
    "token.do_add": ("Make a token", "Créer un jeton"),
    "token.do_remove": ("Void {label}", "Révoquer {label}"),
    "token.shown_once": (
        "Copy the token now; it is not shown again.",
        "Copiez le jeton maintenant ; il ne sera plus affiché.",
    ),
    "audit.title": ("Audit trail", "Journal d’audit"),
    "audit.whole": (
        "{rows} lines, chain unbroken, last digest {head}",
        "{rows} lignes, chaîne intacte, dernière empreinte {head}",
    ),
    "audit.broken": (
        "The chain is broken at line {at}: somebody changed the table. Lines before it hold.",
        "La chaîne est rompue à la ligne {at} : la table a été modifiée. Les lignes précédentes "
        "font foi.",
    ),
    "audit.number": ("Line", "Ligne"),
    "audit.at": ("When (UTC)", "Quand (UTC)"),
    "audit.who": ("Who", "Qui"),
    "audit.from": ("From", "Depuis"),
    "audit.action": ("Did", "Action"),
    "audit.target": ("To", "Objet"),
    "audit.details": ("Details", "Détails"),
    "audit.older": ("Older lines", "Lignes précédentes"),
    "error.403.title": ("Your account may not do this", "Votre compte ne permet pas cette action"),
    "error.403.safe": ("Nothing was changed.", "Rien n’a été modifié."),
    "error.403.do": (
        "Ask an administrator for the role, or go back to the queue.",
        "Demandez ce rôle à un administrateur, ou revenez à la file.",
    ),
}
