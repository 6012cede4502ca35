"""Shows the models that a process runs itself: what is loaded, and what one of them makes of a few texts.

    python scripts/checks/show_models.py --base-url http://127.0.0.1:8081
"""

import argparse
import json
import urllib.request

QUERY = "How do I reset my password?"
CANDIDATES = ["I cannot log in any more", "The recipe needs two eggs", "Change the credentials of my account"]


def ask(url, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-url", required=True)
    base = parser.parse_args().base_url

    for model in ask(f"{base}/info/models")["models"]:
        if model["type"] != "language_detection":
            state = f"loaded in {model['load_time']}" if model["loaded"] else "not loaded: the log says why"
            print(f"  {model['name']:<18} {model['type']:<22} {state}")
    ranking = ask(f"{base}/api/v1/similarity/batch", {"query": QUERY, "candidates": CANDIDATES})
    print(f"  “{QUERY}” is like this, says {ranking['model_used']} in {ranking['processing_time_ms']:.1f} ms:")
    for match in ranking["matches"]:
        print(f"    {match['similarity']:.2f}  {match['text']}")


if __name__ == "__main__":
    main()
