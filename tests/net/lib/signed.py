"""Signed zones as text, and the ways in which they break. Lines are as ldns-signzone writes them: owner TTL IN type rdata."""

from peers import Failed


def fields(line):
    return line.split()


def is_record(line, owner, rtype, covered=None):
    f = fields(line)
    return len(f) > 4 and f[0].lower() == owner.lower() and f[3] == rtype and (covered is None or f[4] == covered)


def changed(text, owner, rtype, covered, change):
    """Every line of that owner and type goes through change(line); None removes it. None found is an error of the test."""
    out, found = [], 0
    for line in text.splitlines():
        if is_record(line, owner, rtype, covered):
            found += 1
            line = change(line)
        if line is not None:
            out.append(line)
    if not found:
        raise Failed(f"the test's zone has no {owner} {rtype} {covered or ''}")
    return "\n".join(out) + "\n"


def dropped(text, owner, rtype, covered=None):
    return changed(text, owner, rtype, covered, lambda line: None)


def unsigned(text, owner, covered):
    return dropped(text, owner, "RRSIG", covered)


def bad_signature(text, owner, covered):
    """One octet of the signature is another."""
    def change(line):
        f = fields(line)
        f[-1] = f[-1][:9] + ("B" if f[-1][9] != "B" else "C") + f[-1][10:]
        return " ".join(f)
    return changed(text, owner, "RRSIG", covered, change)


def taken_from(text, other, owner, covered):
    """The signature of the other zone text instead."""
    line = next(line for line in other.splitlines() if is_record(line, owner, "RRSIG", covered))
    return changed(text, owner, "RRSIG", covered, lambda _: line)
