"""A point of sale: orders and payments, written to the tables of the ERP with plain SQL.

TDS sees what is committed and brings it to Zoho. The program knows nothing of Zoho: records refer to each other by
their local ids, and the numbers that Zoho gives appear in the rows a moment later.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

CURRENCY = os.environ.get("POS_CURRENCY", "IQD")

pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
    os.environ["DATABASE_URL"],
    kwargs={"row_factory": dict_row, "prepare_threshold": None},  # works behind PgBouncer too
    open=False,
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with pool:
        yield


app = FastAPI(title="Point of sale", lifespan=lifespan)


async def transaction() -> AsyncIterator[AsyncConnection[DictRow]]:
    """One transaction for each request: all of it is committed and goes to Zoho, or none of it."""
    async with pool.connection() as connection:
        yield connection


Db = Annotated[AsyncConnection[DictRow], Depends(transaction, scope="function")]
Money = Annotated[Decimal, Field(ge=0, decimal_places=2)]


class Customer(BaseModel):
    name: str = Field(max_length=200)
    phone: str | None = None


class Line(BaseModel):
    product_id: int
    quantity: Annotated[Decimal, Field(gt=0)]
    rate: Money | None = None  # the price of the product, unless another one is agreed


class Order(BaseModel):
    customer_id: int | None = None
    new_customer: Customer | None = None
    lines: list[Line] = Field(min_length=1)
    paid: Money = Decimal(0)
    payment_mode: Literal["cash", "creditcard", "banktransfer"] = "cash"
    reference: str | None = None


class Payment(BaseModel):
    invoice_id: int
    amount: Annotated[Decimal, Field(gt=0, decimal_places=2)]
    payment_mode: Literal["cash", "creditcard", "banktransfer"] = "cash"


@app.post("/orders", status_code=201)
async def sell(order: Order, db: Db) -> dict[str, Any]:
    """Sells over the counter: a customer if he is new, an invoice with its lines, and what was paid."""
    customer = await customer_of(order, db)
    invoice = await one(
        db,
        """INSERT INTO erp.invoices (customer_id, date, due_date, currency_code, status, reference_number)
           VALUES (%s, %s, %s, %s, 'sent', %s) RETURNING id""",
        (customer, date.today(), date.today(), CURRENCY, order.reference),
    )
    for position, line in enumerate(order.lines, start=1):
        product = await one(
            db, "SELECT name, rate FROM erp.live_products WHERE id = %s", (line.product_id,)
        )
        await db.execute(
            """INSERT INTO erp.invoice_lines (document_id, position, product_id, name, quantity, rate)
               VALUES (%s, %s, %s, %s, %s, %s)""",
            (
                invoice["id"],
                position,
                line.product_id,
                product["name"],
                line.quantity,
                product["rate"] if line.rate is None else line.rate,
            ),
        )
    payment = None
    if order.paid:
        payment = await pay(db, customer, invoice["id"], order.paid, order.payment_mode)
    return {"invoice_id": invoice["id"], "customer_id": customer, "payment_id": payment}


@app.post("/payments", status_code=201)
async def receive(payment: Payment, db: Db) -> dict[str, Any]:
    """Receives money for an invoice, which may be one that Zoho does not have yet."""
    invoice = await one(
        db,
        """SELECT i.id, coalesce(i.customer_id, c.id) AS customer_id FROM erp.live_invoices AS i
           LEFT JOIN erp.customers AS c ON c.zoho_id = i.customer_zoho_id WHERE i.id = %s""",
        (payment.invoice_id,),
    )
    new = await pay(db, invoice["customer_id"], invoice["id"], payment.amount, payment.payment_mode)
    return {"payment_id": new}


@app.delete("/orders/{invoice_id}", status_code=204)
async def cancel(invoice_id: int, db: Db) -> None:
    """Cancels a sale. Zoho deletes no invoice that something was paid on: the payment has to go first."""
    paid = await db.execute(
        """SELECT FROM erp.customer_payment_allocations AS a
           JOIN erp.live_customer_payments AS p ON p.id = a.payment_id OR p.zoho_id = a.payment_zoho_id
           WHERE a.document_id = %s""",
        (invoice_id,),
    )
    if paid.rowcount:
        raise HTTPException(409, "something was paid on it: delete the payment first")
    await one(
        db,
        "UPDATE erp.invoices SET deleted_at = now() WHERE id = %s AND deleted_at IS NULL RETURNING id",
        (invoice_id,),
    )


@app.get("/orders/{invoice_id}")
async def show(invoice_id: int, db: Db) -> dict[str, Any]:
    """Shows a sale, and how far it is on its way to Zoho."""
    return await one(
        db,
        """SELECT i.id, i.number, i.status, i.total, i.balance, i.zoho_id IS NOT NULL AS in_zoho,
                  EXISTS (SELECT FROM tds_outbox AS o WHERE o.entity_type = 'invoices' AND o.local_id = i.id
                          AND o.status IN ('pending', 'conflict')) AS on_its_way
           FROM erp.invoices AS i WHERE i.id = %s""",
        (invoice_id,),
    )


async def customer_of(order: Order, db: AsyncConnection[DictRow]) -> int:
    if order.customer_id is not None:
        found = await one(db, "SELECT id FROM erp.live_customers WHERE id = %s", (order.customer_id,))
        return found["id"]
    if order.new_customer is None:
        raise HTTPException(422, "customer_id or new_customer is needed")
    new = await one(
        db,
        "INSERT INTO erp.customers (name, phone, currency_code) VALUES (%s, %s, %s) RETURNING id",
        (order.new_customer.name, order.new_customer.phone, CURRENCY),
    )
    return new["id"]


async def pay(
    db: AsyncConnection[DictRow], customer: int, invoice: int, amount: Decimal, mode: str
) -> int:
    payment = await one(
        db,
        """INSERT INTO erp.customer_payments (customer_id, date, payment_mode, amount)
           VALUES (%s, %s, %s, %s) RETURNING id""",
        (customer, date.today(), mode, amount),
    )
    await db.execute(
        """INSERT INTO erp.customer_payment_allocations (payment_id, document_id, amount_applied)
           VALUES (%s, %s, %s)""",
        (payment["id"], invoice, amount),
    )
    return payment["id"]


async def one(db: AsyncConnection[DictRow], sql: str, values: tuple[Any, ...]) -> DictRow:
    """Returns the row of a statement. If there is none, the request is answered with 404 and writes nothing."""
    row = await (await db.execute(sql, values)).fetchone()
    if row is None:
        raise HTTPException(404, "no such record")
    return row
