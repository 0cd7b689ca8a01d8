"""A small shop that has a bug, for the pictures of what development shows."""

from rush_web import Request, Returned, WebServer

server = WebServer(port=0, root="public", files="/", listing=True)

PRICES = {"coffee": 4.20, "croissant": 2.80}


class Account:
    def __init__(self, name: str, balance: float, api_key: str) -> None:
        self.name = name
        self.balance = balance
        self.api_key = api_key

    def __repr__(self) -> str:
        return f"Account(name={self.name!r}, balance={self.balance}, api_key={self.api_key!r})"


def find_account(token: str) -> Account:
    return Account("Ann", 3.50, f"key-{token}")


def charge(account: Account, amount: float) -> float:
    """Take the amount from the account."""
    if amount > account.balance:
        missing = amount - account.balance
        raise ValueError(f"{account.name} is {missing:.2f} short of {amount:.2f}")
    account.balance -= amount
    return account.balance


@server.get("/buy/<what>")
def buy(request: Request) -> Returned:
    count = int(request.parse_args().get("count", "1"))
    account = find_account("4f1c" * 4)
    total = PRICES[request.params["what"]] * count
    return {"left": charge(account, total)}


@server.get("/product/<int:number>")
def product(request: Request) -> Returned:
    return {"number": request.params["number"]}


@server.post("/product/<int:number>/review")
def review(request: Request) -> Returned:
    return {"thanks": True}


@server.get("/products")
def products(request: Request) -> Returned:
    return PRICES


@server.get("/welcome")
def welcome(request: Request) -> Returned:
    page = (
        "<!DOCTYPE html><html lang=en><meta name=viewport content='width=device-width'>"
        "<meta name=color-scheme content='light dark'><title>Shop</title>"
        "<style>body { font: 18px/1.6 system-ui; margin: 3rem auto; max-width: 40rem;"
        " padding: 0 1rem }</style><h1>The corner shop</h1>"
        "<p>Coffee and croissants, from seven to three.</p>"
    )
    return page, 200, {"Content-Type": "text/html; charset=utf-8"}
