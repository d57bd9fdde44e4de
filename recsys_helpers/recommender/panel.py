"""A panel to play with a recommender in JupyterLab: a user, a scenario, a slider for each interest, and the list."""

import ipywidgets as widgets

from recsys_helpers.recommender.recommender import Recommender


def panel(recommender: Recommender, user: int = 0, k: int = 10) -> widgets.HBox:
    """Controls beside the list, which follows them. A slider at 1 changes nothing, at 4 it asks for four times."""
    last = len(recommender.people) - 1
    room = {"description_width": "100px"}  # for the longest name
    who = widgets.BoundedIntText(value=user, min=0, max=last, description="user", tooltip=f"0 to {last}", style=room)
    where = widgets.Dropdown(options=recommender.scenarios, description="scenario", style=room)
    sliders = {
        name: widgets.FloatLogSlider(
            value=1, base=2, min=-3, max=3, step=0.25, description=name, readout_format=".2f", style=room
        )
        for name in recommender.subjects
    }
    listed = widgets.HTML()

    def show(_=None):
        wishes = {name: slider.value for name, slider in sliders.items()}
        table = recommender.recommend(who.value, where.value, k, interests=wishes)
        listed.value = table[["title", "score"]].to_html(
            index=False, float_format="{:.2f}".format, border=0, justify="left"
        )

    for control in (who, where, *sliders.values()):
        control.observe(show, "value")
    show()
    return widgets.HBox([widgets.VBox([who, where, *sliders.values()]), listed])
