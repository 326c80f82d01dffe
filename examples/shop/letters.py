"""What customers write to the shop, in their own languages.

Law: a constant; a text is picked by its topic and the writer's language, English where we lack one.
"""

from __future__ import annotations

import random

TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "where": {
        "en": (
            "Hello, it says shipped but nothing has arrived. Where is my order {order}?",
            "Any news on {order}? The tracking page has not changed since Tuesday.",
        ),
        "de": (
            "Guten Tag, wo bleibt meine Bestellung {order}? Die Sendungsverfolgung zeigt seit Tagen nichts.",
            "Hallo! Wann kommt {order} denn an? Ich brauche die Lampe als Geschenk für Sonntag.",
        ),
        "fr": ("Bonjour, où en est ma commande {order} ? Le suivi n'a pas bougé depuis lundi.",),
        "es": ("Buenos días, ¿dónde está mi pedido {order}? Lleva cuatro días sin moverse.",),
    },
    "refund": {
        "en": (
            "The handle of the kettle in {order} is loose. I would like a refund, please.",
            "Wrong colour again, I'm afraid ({order}). Can I have my money back?",
        ),
        "de": (
            "Der Schirm aus {order} kam zerbrochen an. Ich bitte um Erstattung.",
            "Leider gefällt uns {order} doch nicht. Bekomme ich mein Geld zurück?",
        ),
        "fr": ("L'article de la commande {order} est arrivé cassé. Je souhaite un remboursement.",),
        "es": ("El producto del pedido {order} llegó roto. Quiero un reembolso, por favor.",),
    },
    "question": {
        "en": (
            "Is the brass reading lamp dimmable, and which bulb does it take?",
            "Do you ship plants to Scotland in winter, or is it too cold for the olive tree?",
            "Could I have an invoice with our company's name on it?",
        ),
        "de": (
            "Passt in die Pendelleuchte auch eine LED mit E27-Sockel? Und wie lang ist das Kabel?",
            "Könnten Sie mir bitte eine Rechnung mit ausgewiesener Mehrwertsteuer schicken?",
        ),
        "fr": ("La théière va-t-elle au lave-vaisselle ? Et combien de tasses contient-elle ?",),
        "es": ("¿Hacen envíos a Canarias, y cuánto tarda en llegar una planta?",),
    },
    "again": {
        "en": ("Hello? I wrote yesterday and have not heard from you.",),
        "de": ("Hallo, ich hatte gestern schon geschrieben – gibt es etwas Neues?",),
        "fr": ("Bonjour, je me permets de vous relancer, sans réponse depuis hier.",),
        "es": ("Hola, escribí ayer y todavía no he tenido respuesta.",),
    },
}

_REMARKS: dict[int, tuple[str, ...]] = {
    1: ("Arrived broken, and nobody answers.", "Three weeks late. Never again!"),
    2: ("Smaller than it looks in the picture.", "Box was open when it came."),
    3: ("All right for the price.", "Good lamp, slow delivery."),
    4: ("Lovely, only the cable is short.", "Very nice tea, will buy again."),
    5: ("Wunderschön! Genau wie beschrieben.", "Magnifique, merci beaucoup !", "Perfect. My fern is happy ❤"),
}


def text(rng: random.Random, topic: str, locale: str, order: str) -> tuple[str, str]:
    """What somebody of this locale writes on this topic, and its language."""
    language = locale[:2] if locale[:2] in TEXTS[topic] else "en"
    return rng.choice(TEXTS[topic][language]).format(order=order), language


def remark(rng: random.Random, score: int) -> str:
    """A few words beside a score from 1 to 5."""
    return rng.choice(_REMARKS[score])
