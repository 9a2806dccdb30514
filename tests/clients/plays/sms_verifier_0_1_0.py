"""sms-verifier: two programs with a ledger of their own, which they compare with the server's."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from backstage import CLASSIC, KEY, POOR_KEY, WRONG_KEY, ask, saw, until

BIN = Path(sys.executable).parent
FOLDER = tempfile.TemporaryDirectory()
TELEGRAM = ("--service", "tg", "--country", "22")
HERE = ("--provider", "sms-activate")


def run(program: str, *words: str, key: str = KEY) -> list[object]:
    """Return how it ended and what it printed: JSON, or text."""
    done = subprocess.run(
        [BIN / program, *words], capture_output=True, text=True, check=False, timeout=60,
        env={
            "PATH": os.defpath, "HOME": FOLDER.name, "SMS_STATE_FILE": f"{FOLDER.name}/ledger.json",
            "SMS_PROVIDER_BASE_URL": CLASSIC, "SMS_PROVIDER_API_KEY": key,
        },
    )  # fmt: skip
    told = (done.stdout if done.returncode == 0 else done.stderr).strip()
    try:
        return [done.returncode, json.loads(told)]
    except ValueError:
        return [done.returncode, told]


def pool(action: str, *words: str, key: str = KEY) -> str:
    return str(run("sms-pool", action, *HERE, *words, key=key)[1])


saw("balance", pool("balance").split()[-1])
saw("wrong key", pool("balance", key=WRONG_KEY) or pool("status", "--activation", "1", key=WRONG_KEY))
saw("poor", run("sms-verify", "order", *TELEGRAM, *HERE, "--no-price-check", key=POOR_KEY))
saw("no numbers", pool("get-number", "--service", "go", "--country", "3"))
saw("price", run("sms-verify", "price", *TELEGRAM, *HERE))
saw("too dear", run("sms-verify", "order", *TELEGRAM, *HERE, "--max-price", "20"))

_, number = run("sms-verify", "order", *TELEGRAM, *HERE, "--max-price", "30")
saw("number", number)
saw("early", run("sms-verify", "cancel", "--last"))
ask("deliver", number["activation"], "12345")
saw("code", run("sms-verify", "wait", "--last", "--interval", "1", "--timeout", "30"))
saw("one more", pool("set-status", "--activation", number["activation"], "--status-code", "3"))
saw("retry", pool("status", "--activation", number["activation"]))
ask("deliver", number["activation"], "67890")
saw("second code", until("STATUS_OK:67890", pool, "status", "--activation", number["activation"]))
saw("finish", run("sms-verify", "finish", "--activation", number["activation"]))
saw("finish again", run("sms-verify", "finish", "--activation", number["activation"]))
saw("foreign", pool("status", "--activation", number["activation"], key=POOR_KEY))

_, other = run("sms-verify", "order", *TELEGRAM, *HERE, "--max-price", "30")
ask("ripen", other["activation"])
saw("cancel", [run("sms-verify", "cancel", "--activation", other["activation"]) for _ in range(2)])
saw("given back", pool("balance").split()[-1])

_, third = run("sms-verify", "order", *TELEGRAM, *HERE, "--max-price", "30")
saw("held", pool("balance").split()[-1])
ask("expire", third["activation"])
saw("over", until("STATUS_CANCEL", pool, "status", "--activation", third["activation"]))
saw("reconcile", run("sms-verify", "reconcile", "--threshold-min", "0"))
saw("balance after", pool("balance").split()[-1])
saw("countries", run("sms-pool", "countries", *HERE)[1]["22"]["eng"])
FOLDER.cleanup()
