"""The page's controls for detection settings, made from their one declaration."""

from dataclasses import asdict

import gradio as gr

from textdet.decoding.settings import SETTINGS, TYPES, DetectionSettings

STEPS = {"long_side": 32, "max_enlargement": 0.1, "box_margin": 0.1}  # of sliders; else 0.01


def setting_controls(settings: DetectionSettings) -> dict[str, gr.Slider | gr.Radio]:
    """A control for each setting, by its name; those that tune.py always searches come first."""
    values = asdict(settings)
    controls = {}
    first = [name for name, declared in SETTINGS.items() if declared.searched]
    for name in first:
        controls[name] = _control(name, values[name])
    with gr.Accordion("More settings", open=False):
        for name in SETTINGS:
            if name not in first:
                controls[name] = _control(name, values[name])
    return {name: controls[name] for name in SETTINGS}


def _control(name: str, value: float | str) -> gr.Slider | gr.Radio:
    declared = SETTINGS[name]
    about = {"label": name, "info": declared.help, "elem_id": name, "interactive": True}
    if declared.choices:
        return gr.Radio(list(declared.choices), value=value, **about)
    about["info"] = f"{declared.unit}, {declared.help}" if declared.unit else declared.help
    step, digits = STEPS.get(name, 0.01), 0 if TYPES[name] is int else None
    return gr.Slider(declared.low, declared.high, value, step=step, precision=digits, **about)
