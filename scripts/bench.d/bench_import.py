"""A root from a tar: into a store, into a folder."""

from measure import Case, alternate, run, times_table
from peers import Rd

TITLE = "Import a root"


class Places:
    """A new folder for each run. None goes before the end: ext4 is slow at making files where others were just deleted."""

    def __init__(self, bed):
        self.bed = bed / "import"
        self.count = 0

    def case(self, name, command):
        """A case that runs `command(folder)`."""
        case = Case(name, [], with_memory=True)

        def fresh():
            self.count += 1
            folder = self.bed / str(self.count)
            folder.mkdir(parents=True)
            case.command = command(folder)

        case.before = fresh
        return case

    def clear(self):
        run(["rm", "-rf", "--one-file-system", str(self.bed)])


def measure(bench):
    """All tars first, then the archives: to clear the peers' images deletes files too."""
    places = Places(bench.bed)
    sections = [extract(bench, places, name) for name in ("min", "big")]
    sections += [load(bench, places, name) for name in ("min", "big")]
    places.clear()
    return sections


def rounds(bench, name):
    return 3 if bench.quick or name == "big" else 7


def extract(bench, places, name):
    tar = bench.roots.tar(name)
    warm(tar)
    cases = [
        places.case("rd import", lambda dir: [*Rd(dir / "store").command, "import", str(tar), f"bench:{name}"]),
        places.case("tar -x", lambda dir: ["tar", "-xf", str(tar), "-C", str(dir)]),
        places.case("tar -x, then sync", lambda dir: ["sh", "-c", f"tar -xf {tar} -C {dir} && sync -f {dir}"]),
    ]
    samples = alternate(cases, rounds(bench, name))
    return f"### {bench.describe_root(name)}, uncompressed tar\n\n" + times_table(samples, "rd import")


def load(bench, places, name):
    archive = bench.roots.archive(name)
    warm(archive)
    cases = [places.case("rd load", lambda dir: [*Rd(dir / "store").command, "load", "--input", str(archive)])]
    cases += [
        # docker's work is done by its daemon, whose memory is not the client's.
        Case(f"{peer.name} load", [*peer.command, "load", "--input", str(archive)], peer.clear, None,
             with_memory=peer.name != "docker")
        for peer in bench.peers.all()
    ]
    samples = alternate(cases, rounds(bench, name))
    for peer in bench.peers.all():
        peer.clear()
    bench.images_gone()
    return f"### {bench.describe_root(name)}, as an image archive\n\n" + times_table(samples, "rd load")


def warm(path):
    """Bring a file into the page cache."""
    with open(path, "rb") as file:
        while file.read(1 << 22):
            pass
