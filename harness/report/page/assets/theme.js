// Light or dark: as the system says, until the reader says otherwise.

const THEMES = ["system", "light", "dark"];

function startTheme(button) {
  // A browser may refuse storage to pages from disk; the choice then lasts as long as the page.
  const remembered = attempt(() => localStorage.getItem("titrate-theme"));
  let theme = THEMES.includes(remembered) ? remembered : "system";
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    attempt(() => localStorage.setItem("titrate-theme", theme));
    apply();
  });
  apply();
}

function attempt(action) {
  try {
    return action();
  } catch {
    return null;
  }
}
