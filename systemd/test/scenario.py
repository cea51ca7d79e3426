"""Both units under a real user manager: restarts in the middle of a turn, a kill, the end.

Run by `run`, as the test user: scenario.py BIN-DIR CLAUDE. Everything is done with what a person has: systemctl,
carcin-ctl, and a chat.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

BIN, CLAUDE = Path(sys.argv[1]), Path(sys.argv[2])
HOME = Path.home()
UNITS = Path(__file__).resolve().parent.parent
CTL = HOME / ".cargo/bin/carcin-ctl"
SERVICES = ("carcind", "carcin-tg")
SCRIPTED = CLAUDE.name == "carcin-lab-claude"
PATIENCE = 60  # seconds; longer than anything here takes on a busy machine
CHAT = 1001  # the person whom the lab's Telegram knows

started = []


def check(holds, what):
    if not holds:
        raise AssertionError(what)
    print(f"  ok: {what}", flush=True)


def until(what, holds):
    """Waits for a condition, never for a time."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.05)
    print(f"  ok: {what}", flush=True)


def systemctl(*arguments, expect=0):
    done = subprocess.run(["systemctl", "--user", *arguments], capture_output=True, text=True, timeout=PATIENCE)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"systemctl {' '.join(arguments)}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout.strip()


def show(unit, name):
    return systemctl("show", "--value", "--property", name, unit)


def is_active(unit):
    return systemctl("is-active", unit, expect=None) == "active"


def main_pid(unit):
    return int(show(unit, "MainPID"))


def claude_units():
    listed = systemctl("list-units", "--plain", "--no-legend", "--all", "carcin-claude-*.service")
    return [line.split()[0] for line in listed.splitlines()]


def ctl(*arguments):
    done = subprocess.run([CTL, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode != 0:
        raise AssertionError(f"carcin-ctl {' '.join(arguments)}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout


def conversation():
    """What the daemon says of the only conversation; nothing while it restarts."""
    done = subprocess.run([CTL, "status", "--json"], capture_output=True, text=True, timeout=PATIENCE)
    return (json.loads(done.stdout)["conversations"] + [{}])[0] if done.returncode == 0 else {}


def texts():
    """What Claude said, as the journal has it."""
    return [entry["text"] for entry in json.loads(ctl("recent", "100", "--json"))]


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def environment(pid):
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


def post(url, body=None):
    data = json.dumps(body if body is not None else {}).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return response.read().decode()


def get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return response.read().decode()


def start_lab(name, *arguments):
    """Starts one of the stand-ins; gives what it prints first."""
    process = subprocess.Popen([BIN / name, *arguments], stdout=subprocess.PIPE, text=True)
    started.append(process)
    return process.stdout


class Chat:
    """The person's side: the lab's Telegram."""

    def __init__(self):
        out = start_lab("carcin-lab-telegram", "--user", str(CHAT))
        told = dict(out.readline().split(maxsplit=1) for _ in range(4))
        self.page = told["page:"].strip().rstrip("/")
        self.env = dict(told[name].strip().split("=", 1) for name in ("api:", "token:", "user:"))

    def prompt(self, text):
        post(f"{self.page}/lab/send", {"chat": CHAT, "from": CHAT, "text": text})

    def shown(self, text):
        messages = json.loads(get(f"{self.page}/lab/chats/{CHAT}"))["messages"]
        # Those of the bot; the prompt itself has the text, too.
        return sum(text in message.get("text", "") for message in messages if message.get("from") is None)


def install():
    for directory in (".cargo/bin", ".local/bin", ".config/systemd/user", ".config/carcin", "work"):
        (HOME / directory).mkdir(parents=True)
    for program in ("carcind", "carcin-ctl", "carcin-tg"):
        shutil.copy(BIN / program, HOME / ".cargo/bin")
    units = [shutil.copy(UNITS / f"{unit}.service", HOME / ".config/systemd/user") for unit in SERVICES]
    # Where Claude Code's own installer puts it, and where the unit's PATH must find it.
    (HOME / ".local/bin/claude").symlink_to(CLAUDE)
    verify = subprocess.run(["systemd-analyze", "--user", "verify", *units], capture_output=True, text=True)
    if verify.returncode != 0 or verify.stderr:
        raise AssertionError(f"systemd-analyze verify: {verify.stderr}")
    print("  ok: systemd-analyze has nothing to say about the units")


def configure(chat):
    """As the README says: the token in a file of its own, the rest in the environment file."""
    env = {"CLAUDE_WORKING_DIR": str(HOME / "work")}
    token = HOME / ".config/carcin/telegram-bot-token"
    token.write_text(chat.env.pop("TELEGRAM_BOT_TOKEN") + "\n")
    token.chmod(0o600)
    env |= chat.env
    if not SCRIPTED:
        env |= {
            "ANTHROPIC_BASE_URL": model,
            "ANTHROPIC_API_KEY": "sk-ant-dummy",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
        }
    (HOME / ".config/carcin/env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))


def open_gate(name):
    if SCRIPTED:
        gates = HOME / ".carcin-lab/gates"
        gates.mkdir(parents=True, exist_ok=True)
        (gates / name).touch()
    else:
        post(f"{model}/lab/gates/{name}")


def running():
    return conversation().get("state") == "running"


def idle():
    return conversation().get("state") == "idle"


def begin_turn(chat, name):
    """A turn that has said something and now waits for its gate."""
    chat.prompt(f"!text {name}, part one\n!gate {name}\n!text {name}, part two")
    until(f"turn {name} is under way", lambda: running() and f"{name}, part one" in texts())


def end_turn(chat, name, pid):
    open_gate(name)
    until(f"turn {name} completes", lambda: idle() and f"{name}, part two" in texts())
    check(conversation()["claude_pid"] == pid, "by the same Claude")
    said = texts()
    check(said.count(f"{name}, part one") == said.count(f"{name}, part two") == 1, "each part was said once")
    until("the person sees it", lambda: chat.shown(f"{name}, part two") >= 1)


def duplicates(chat):
    """A kill of the front end may cost one; Telegram offers no way to find out."""
    for name, most in (("restart", 1), ("kill", 2), ("stop", 1), ("plain", 1)):
        shown = sum(chat.shown(f"{name}, part {part}") for part in ("one", "two"))
        check(2 <= shown <= 1 + most, f"turn {name} is in the chat as it should be")


def first_turn(chat):
    systemctl("enable", "--quiet", "--now", *SERVICES)
    check(all(is_active(unit) for unit in SERVICES), f"{' and '.join(SERVICES)} run")
    state = HOME / ".local/state/carcin"
    check(stat.S_IMODE(state.stat().st_mode) == 0o700, "the state directory is where every carcind has it, and private")
    chat.prompt("!text Hello")
    until("a first prompt is answered", lambda: idle() and "Hello" in texts())
    pid = conversation()["claude_pid"]
    check(claude_units()[0] in Path(f"/proc/{pid}/cgroup").read_text(), "Claude is a service of its own")
    return pid


def restarts(chat, pid):
    begin_turn(chat, "restart")
    for unit in SERVICES:
        before = main_pid(unit)
        systemctl("restart", unit)
        check(is_active(unit) and main_pid(unit) != before, f"{unit} is restarted in the middle of the turn")
        check(lives(pid) and running(), "the turn goes on")
    before = main_pid("carcin-tg")
    chat.prompt("/restart")
    until("/restart has the service restart carcin-tg", lambda: main_pid("carcin-tg") not in (0, before))
    until("and it says that it is back", lambda: chat.shown("I am back") == 1)
    check(lives(pid) and running(), "the turn goes on")
    end_turn(chat, "restart", pid)


def kills(chat, pid):
    begin_turn(chat, "kill")
    for unit in SERVICES:
        before = main_pid(unit)
        systemctl("kill", "--signal=KILL", "--kill-who=main", unit)
        until(f"{unit} is killed and comes back by itself", lambda: is_active(unit) and main_pid(unit) not in (0, before))
        check(lives(pid), "Claude lives")
    end_turn(chat, "kill", pid)


def stop_and_start(chat, pid):
    begin_turn(chat, "stop")
    systemctl("stop", "carcind")
    check(lives(pid) and len(claude_units()) == 1, "stopping carcind leaves Claude alone")
    check(is_active("carcin-reap.timer"), "the timer that ends an abandoned Claude is armed")
    check(is_active("carcin-tg"), "carcin-tg goes on without carcind")
    systemctl("start", "carcind")
    check(not is_active("carcin-reap.timer"), "the timer is disarmed")
    end_turn(chat, "stop", pid)
    chat.prompt("!text And again")
    until("the next prompt is answered", lambda: idle() and "And again" in texts())
    check(conversation()["claude_pid"] == pid, "by the same Claude")


def reaping(pid):
    # The command of the timer, with the daemon there.
    reap = re.search(r"sh -c '([^']*)'", (UNITS / "carcind.service").read_text()).group(1)
    subprocess.run(["sh", "-c", reap], check=True, timeout=PATIENCE)
    check(lives(pid), "nothing is reaped while carcind is there")
    systemctl("stop", "carcind")
    systemctl("start", "carcin-reap.service")
    until("what carcind abandoned is reaped", lambda: not lives(pid) and not claude_units())
    systemctl("start", "carcind")


def end(chat):
    chat.prompt("!text Last")
    until("a prompt after that is answered by a new Claude", lambda: idle() and "Last" in texts())
    shut_down(conversation()["claude_pid"])


def shut_down(pid):
    ctl("shutdown", "--yes")
    until("after a shutdown Claude is gone", lambda: not lives(pid) and not claude_units())
    until("and carcind stays down", lambda: show("carcind", "ActiveState") == "inactive")


def without_units_for_claudes(chat):
    """The same where Claudes are in carcind's own control group: KillMode= has to spare them."""
    (HOME / ".config/carcin/config.toml").write_text('[claude]\nlauncher = "plain"\n')
    with (HOME / ".config/carcin/env").open("a") as env:
        env.write("TELEGRAM_BOT_TOKEN=1:secret\n")  # for carcin-tg alone, which is not started anew
    systemctl("start", "carcind")
    chat.prompt("!text Plain")
    until("a prompt is answered with plain children", lambda: idle() and "Plain" in texts())
    pid = conversation()["claude_pid"]
    check("/carcind.service" in Path(f"/proc/{pid}/cgroup").read_text(), "Claude is in carcind's control group")
    for process in (main_pid("carcind"), pid):
        told = [entry for entry in environment(process) if entry.startswith("TELEGRAM_BOT_TOKEN")]
        check(not told, f"process {process} is not told the token")
    begin_turn(chat, "plain")
    systemctl("restart", "carcind")
    check(lives(pid) and running(), "the turn goes on over a restart")
    end_turn(chat, "plain", pid)
    shut_down(pid)


def left_behind():
    """What else the test user runs besides the manager and ourselves."""
    ours = {process.pid for process in started} | {os.getpid()}
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if directory.stat().st_uid == os.getuid() and int(directory.name) not in ours:
                found.append((directory / "comm").read_text().strip())
        except FileNotFoundError:
            continue
    return [name for name in found if name not in ("systemd", "(sd-pam)", "dbus-daemon")]


def main():
    global model
    model = "" if SCRIPTED else start_lab("carcin-lab-model").readline().strip()
    chat = Chat()
    install()
    configure(chat)
    try:
        pid = first_turn(chat)
        restarts(chat, pid)
        kills(chat, pid)
        stop_and_start(chat, pid)
        reaping(pid)
        end(chat)
        without_units_for_claudes(chat)
        duplicates(chat)
        systemctl("stop", *SERVICES)
        check(all(show(unit, "Result") == "success" for unit in SERVICES), "all ended well")
        until("nothing is left behind", lambda: not left_behind())
    except BaseException:
        for unit in (*SERVICES, "carcin-claude-*"):
            print(systemctl("status", "--no-pager", "--full", unit, expect=None), file=sys.stderr)
        raise
    finally:
        for process in started:
            process.terminate()
            process.wait()
    print("the promises hold under systemd")


main()
