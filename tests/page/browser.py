"""A headless Chromium that looks at weir's page."""
import os
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from harness import HOST, wait_for

WIDE = (1360, 900)
PHONE = (390, 844)
NARROW_PHONE = (320, 640)


class Browser:
    def __init__(self, directory):
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
                     "--disable-extensions", "--disable-sync", f"--user-data-dir={directory}", "--lang=en-GB",
                     "--force-prefers-reduced-motion", "--hide-scrollbars"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(shutil.which("chromedriver"), log_path=os.devnull, env=dict(os.environ, HOME=str(directory)))
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(60)
        self.expected = ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def reset(self):
        self.driver.get("about:blank")
        self.resize(WIDE)
        self.dark(False)
        self.expected = ()
        self.driver.get_log("browser")

    def resize(self, size, scale=1):
        width, height = size
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                     mobile=width < 600)

    def dark(self, on):
        self.command("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def open(self, weir, ready=True):
        self.driver.get(f"http://{HOST}:{weir.admin_port}/")
        if ready:
            wait_for(lambda: self.text("#state-word") != "Connecting", what="the page has an answer")
        return self

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        return self.run("const found = document.querySelector(arguments[0]); return found && found.textContent", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((found) => found.textContent)", selector)

    def replica(self, name):
        """What the page shows of this replica: its badge, its link, its distance, ..."""
        return self.run("""
            const item = [...document.querySelectorAll(".replicas > li")].find((li) =>
                li.querySelector(".name").textContent === arguments[0]);
            if (!item)
                return null;
            const text = (selector) => item.querySelector(selector).textContent;
            return { badge: text(".badge"), link: text(".link-text"), distance: text(".distance"), remark: text(".remark"),
                mark: item.querySelector(".mark").dataset.mark, facts: Object.fromEntries(
                    [...item.querySelectorAll(".fact")].map((fact) => [fact.firstChild.textContent, fact.lastChild.textContent])) };
            """, name)

    def complaints(self):
        """Whatever stands in the browser's console and was not expected."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if not any(word in entry["message"] for word in self.expected)]

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(self.driver.get_screenshot_as_png())

    def whole_picture(self, path, width=WIDE[0], scale=1):
        """Of the whole page, however long it is."""
        self.resize((width, 800), scale)
        height = self.run("return document.documentElement.scrollHeight")
        self.resize((width, height), scale)
        wait_for(lambda: self.run("return innerHeight") == height, what="the window has grown")
        self.picture(path)
        self.resize((width, 800), scale)
