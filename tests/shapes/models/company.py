"""What every branch of a company makes, each numbering from 1."""

from django.db import models


class Customer(models.Model):
    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text


class Order(models.Model):
    text = models.CharField(max_length=100)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    follows = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    watchers = models.ManyToManyField(Customer, blank=True, related_name="watched")

    def __str__(self) -> str:
        return f"{self.text} of {self.customer_id}"


class Line(models.Model):
    text = models.CharField(max_length=100)
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    quantity = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.quantity} {self.text} in {self.order_id}"
