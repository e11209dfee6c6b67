// Thumbnails that can be chosen; see viewer.py. props.value: [{image, title}]
function draw() {
  element.querySelector("div").replaceChildren(...(props.value || []).map((item, index) => {
    const button = document.createElement("button");
    const image = document.createElement("img");
    Object.assign(image, { src: item.image, alt: item.title });
    Object.assign(button, { type: "button", title: item.title });
    button.onclick = () => trigger("select", { index });
    const text = document.createElement("span");
    text.textContent = item.title;
    button.append(image, text);
    return button;
  }));
}
watch("value", draw);
draw();
